#!/usr/bin/env node
// A compiler that stays loaded: the shim asks it through a Unix socket when QUORATE_SOLC_SERVER
// names one. Loading and warming up the WebAssembly costs a second or two, which a run that
// compiles a contract hundreds of times (mutation testing) need not pay each time.
//
//   server.mjs SOCKET
//
// One question per connection: {"input", "roots"}, or {"version": true}, up to the end of what is
// sent; the answer is {"output", "read"}. It prints "ready" when it listens and ends with its parent, on end of
// standard input, or after an answer that left it too large (the caller starts another).
import fs from "node:fs";
import net from "node:net";
import { compile, loadCompiler } from "./compiler.mjs";

const LARGEST_BYTES = 2_500 * 1024 * 1024; // the WebAssembly heap grows and never shrinks
const socket = process.argv[2];
if (!socket) {
  process.stderr.write("usage: server.mjs SOCKET\n");
  process.exit(2);
}

const leave = () => {
  fs.rmSync(socket, { force: true });
  process.exit(0);
};

const server = net.createServer({ allowHalfOpen: true }, (client) => {
  const parts = [];
  client.on("error", () => client.destroy());
  client.on("data", (part) => parts.push(part));
  client.on("end", async () => {
    try {
      const question = JSON.parse(Buffer.concat(parts).toString("utf8"));
      const answer = question.version ? { output: loadCompiler().version() } : await compile(question.input, question.roots);
      client.end(`${JSON.stringify(answer)}\n`, () => {
        if (process.memoryUsage().rss > LARGEST_BYTES) leave();
      });
    } catch (error) {
      process.stderr.write(`solc server: ${error.message}\n`);
      client.destroy(); // the shim then answers by itself
    }
  });
});

loadCompiler();
server.listen(socket, () => process.stdout.write("ready\n"));
process.stdin.on("end", leave).on("close", leave).resume();
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, leave);
