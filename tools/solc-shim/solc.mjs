#!/usr/bin/env node
// The command line of the native solc, as far as py-solc-x, ape, forge, Slither and Halmos use it,
// on npm's WebAssembly build of the same release. Same sources and settings give the same bytecode
// as the native compiler: metadata names the version and commit, not the platform.
//
//   solc --version
//   solc --standard-json [FILE] [--base-path DIR] [--include-path DIR]… [--allow-paths LIST]
//
// WebAssembly via-IR costs seconds per contract and every tool asks for the same thing, so answers
// are kept under build/cache/solc by the hash of the question. QUORATE_SOLC_CACHE names another
// folder; empty turns the cache off. QUORATE_SOLC_SERVER names the Unix socket of a compiler that
// stays loaded (server.mjs); when nobody answers there, the question is answered here.
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { compile, loadCompiler, release, ROOT, sha256 } from "./compiler.mjs";

const CACHE_FORMAT = "1";
const CACHE_LIMIT_BYTES = 512 * 1024 * 1024;

function fail(message) {
  process.stderr.write(`Error: ${message}\n`);
  process.exit(1);
}

function parseArguments(argv) {
  const options = { mode: "", input: "", basePath: "", includePaths: [] };
  const valued = new Set(["--base-path", "--include-path", "--allow-paths", "--evm-version"]);
  for (let i = 0; i < argv.length; i++) {
    let [name, value] = argv[i].startsWith("--") ? splitOnce(argv[i]) : [argv[i], undefined];
    if (valued.has(name) && value === undefined) value = argv[++i];
    if (name === "--version" || name === "-V") options.mode = "version";
    else if (name === "--standard-json") options.mode = "standard-json";
    else if (name === "--base-path") options.basePath = value;
    else if (name === "--include-path") options.includePaths.push(value);
    else if (name === "--allow-paths" || name === "--no-color" || name === "--pretty-json") continue;
    else if (name === "-" || !name.startsWith("-")) options.input = name === "-" ? "" : name;
    else fail(`option '${name}' is not supported by this solc; use --standard-json, or install the native compiler`);
  }
  return options;
}

function splitOnce(text) {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function cacheFolder() {
  const chosen = process.env.QUORATE_SOLC_CACHE;
  return chosen === undefined ? path.join(ROOT, "build", "cache", "solc") : chosen;
}

/** A kept answer is good only while every file that the compiler itself read is unchanged. */
function readCache(file) {
  let kept;
  try {
    kept = JSON.parse(fs.readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
  for (const [place, digest] of kept.read) {
    const now = fs.existsSync(place) && fs.statSync(place).isFile() ? sha256(fs.readFileSync(place, "utf8")) : "";
    if (now !== digest) return undefined;
  }
  const stamp = new Date();
  try {
    fs.utimesSync(file, stamp, stamp);
  } catch {
    // A cache that cannot be touched is still good.
  }
  return kept.output;
}

function writeCache(folder, file, read, output) {
  try {
    fs.mkdirSync(folder, { recursive: true });
    const draft = `${file}.${process.pid}`;
    fs.writeFileSync(draft, JSON.stringify({ read, output }));
    fs.renameSync(draft, file);
    prune(folder);
  } catch (error) {
    process.stderr.write(`Warning: the compiler cache ${folder} cannot be written (${error.code}); going on without it\n`);
  }
}

function prune(folder) {
  const files = fs.readdirSync(folder).map((name) => {
    const file = path.join(folder, name);
    const { mtimeMs, size } = fs.statSync(file);
    return { file, mtimeMs, size };
  });
  files.sort((a, b) => b.mtimeMs - a.mtimeMs);
  let total = 0;
  for (const { file, size } of files) {
    total += size;
    if (total > CACHE_LIMIT_BYTES) fs.rmSync(file, { force: true });
  }
}

async function compileStandard(options) {
  const input = fs.readFileSync(options.input || 0, "utf8");
  const folder = cacheFolder();
  const roots = [path.resolve(options.basePath || "."), ...options.includePaths.map((p) => path.resolve(p))];
  const key = sha256([CACHE_FORMAT, release(), ...roots, input].join("\0"));
  const file = folder && path.join(folder, `${key}.json`);
  const kept = folder && readCache(file);
  if (kept) return kept;

  const socket = process.env.QUORATE_SOLC_SERVER;
  const { output, read } = (socket && (await ask(socket, { input, roots }))) || (await compile(input, roots));
  if (folder) writeCache(folder, file, read, output);
  return output;
}

/** The server's answer, or undefined when there is none: it is not up, or went away. */
function ask(socket, question) {
  return new Promise((resolve) => {
    const parts = [];
    const client = net.createConnection({ path: socket, allowHalfOpen: true });
    client.on("connect", () => client.end(JSON.stringify(question)));
    client.on("data", (part) => parts.push(part));
    client.on("error", () => resolve(undefined));
    client.on("end", () => {
      try {
        resolve(JSON.parse(Buffer.concat(parts).toString("utf8")));
      } catch {
        resolve(undefined);
      }
    });
  });
}

async function versionLines() {
  const socket = process.env.QUORATE_SOLC_SERVER;
  const { output } = (socket && (await ask(socket, { version: true }))) || { output: loadCompiler().version() };
  const [, number, commit] = /^(\d+\.\d+\.\d+)\+(commit\.[0-9a-f]+)/.exec(output);
  return `solc, the solidity compiler commandline interface\nVersion: ${number}+${commit}.Emscripten.clang\n`;
}

const options = parseArguments(process.argv.slice(2));
if (options.mode === "version") fs.writeSync(1, await versionLines());
else if (options.mode === "standard-json") writeAll((await compileStandard(options)) + "\n");
else fail("nothing to do; give --version or --standard-json");

/** Writes to a pipe whose reader may be slower than we are. */
function writeAll(text) {
  const data = Buffer.from(text, "utf8");
  for (let at = 0; at < data.length; ) {
    try {
      at += fs.writeSync(1, data, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}
