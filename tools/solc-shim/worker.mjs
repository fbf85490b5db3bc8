// A thread with a compiler of its own: takes {"input", "roots"}, gives {"output", "read"}.
import { parentPort } from "node:worker_threads";
import { compileWhole } from "./compiler.mjs";

parentPort.on("message", ({ input, roots }) => parentPort.postMessage(compileWhole(input, roots)));
