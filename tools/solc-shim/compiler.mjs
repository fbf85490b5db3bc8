// npm's WebAssembly build of solc, called as the native command line calls it: what the shim
// (solc.mjs) and the long-lived server (server.mjs) share.
import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { fileURLToPath } from "node:url";

const LEAST_FILES = 40; // below that, warming up more compilers costs more than it saves
const MOST_FILES = 32; // in one part

export const ROOT = path.resolve(path.dirname(fs.realpathSync(fileURLToPath(import.meta.url))), "../..");
const require = createRequire(path.join(ROOT, "package.json"));

export const sha256 = (data) => createHash("sha256").update(data).digest("hex");

export const release = () => require("solc/package.json").version;

/** Reads an import as solc's FileReader does: the base path first, then each include path. */
export function importReader(roots, seen) {
  return (name) => {
    const plain = name.startsWith("file://") ? name.slice("file://".length) : name;
    const places = path.isAbsolute(plain) ? [plain] : roots.map((root) => path.resolve(root, plain));
    for (const place of places) {
      if (!fs.existsSync(place) || !fs.statSync(place).isFile()) {
        seen.push([place, ""]); // its appearing would change the answer
        continue;
      }
      const contents = fs.readFileSync(place, "utf8");
      seen.push([place, sha256(contents)]);
      return { contents };
    }
    return { error: `File not found. Searched the following locations: ${roots.join(", ")}.` };
  };
}

/** Ids of builtins are negative in the native compiler's AST; the 32-bit build prints them modulo 2^32. */
function signBuiltinIds(output) {
  return output.replace(/([:[,]\s*)(4294\d{6})(?=\s*[,\]}])/g, (whole, before, digits) => {
    const signed = Number(digits) - 2 ** 32;
    return signed < 0 && signed > -100000 ? before + signed : whole;
  });
}

export function loadCompiler() {
  // soljson installs handlers that turn any later rejection into an exit of its own.
  const before = new Set(process.listeners("uncaughtException"));
  const solc = require("solc");
  for (const handler of process.listeners("uncaughtException")) {
    if (!before.has(handler)) process.removeListener("uncaughtException", handler);
  }
  return solc;
}

/** Compiles a standard-JSON question; `roots` are absolute. Returns the answer and the files it read. */
export function compileWhole(input, roots) {
  const read = [];
  const output = signBuiltinIds(loadCompiler().compile(input, { import: importReader(roots, read) }));
  return { output, read };
}

/**
 * The same answer, made in parts when many files are to be turned into code: one question about all
 * of a project's tests runs out of the 4 GiB that WebAssembly can address, and uses one core.
 */
export async function compile(input, roots) {
  const questions = split(input);
  if (questions.length < 2) return compileWhole(input, roots);
  const answers = await answerAll(questions, roots);
  const seen = new Map(answers.flatMap(({ read }) => read).map((entry) => [JSON.stringify(entry), entry]));
  return { output: merge(answers.map(({ output }) => JSON.parse(output))), read: [...seen.values()] };
}

/** Compilers at once: QUORATE_SOLC_JOBS, or one per core, at most 4 (each takes up to a gigabyte). */
const jobs = () => Number(process.env.QUORATE_SOLC_JOBS) || Math.min(os.availableParallelism(), 4);

/** Questions about the same sources that ask for the code of some files each; one when it is not worth splitting. */
export function split(input) {
  const question = JSON.parse(input);
  const selection = question.settings?.outputSelection ?? {};
  const files = Object.keys(selection).filter((file) => wantsCode(selection[file]));
  if (files.length < LEAST_FILES || "*" in selection) return [input];
  const parts = Math.max(jobs(), Math.ceil(files.length / MOST_FILES));
  return Array.from({ length: parts }, (_, part) => {
    const own = new Set(files.filter((_, index) => index % parts === part));
    const asked = Object.entries(selection)
      .map(([file, outputs]) => [file, own.has(file) || (part === 0 && !files.includes(file)) ? outputs : rest(outputs, part)])
      .filter(([, outputs]) => Object.keys(outputs).length > 0);
    const settings = { ...question.settings, outputSelection: Object.fromEntries(asked) };
    return JSON.stringify({ ...question, settings });
  });
}

/** What the first part says about a file whose code another part makes: the syntax tree. */
const rest = (outputs, part) => (part === 0 && outputs[""] ? { "": outputs[""] } : {});

const wantsCode = (outputs) =>
  Object.entries(outputs).some(([name, kinds]) => name !== "" && kinds.some((kind) => /^(\*|evm|ir|metadata)/.test(kind)));

/** One thread per job, each with a compiler of its own; they take the next question when they are done with one. */
async function answerAll(questions, roots) {
  const answers = new Array(questions.length);
  let next = 0;
  const work = async () => {
    const thread = jobs() > 1 ? new Worker(new URL("./worker.mjs", import.meta.url)) : undefined;
    try {
      while (next < questions.length) {
        const index = next++;
        answers[index] = thread ? await ask(thread, questions[index], roots) : compileWhole(questions[index], roots);
      }
    } finally {
      await thread?.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs(), questions.length) }, work));
  return answers;
}

function ask(thread, input, roots) {
  return new Promise((resolve, reject) => {
    const settle = (act) => (value) => {
      for (const [name, listener] of Object.entries(listeners)) thread.off(name, listener);
      act(value);
    };
    const listeners = {
      message: settle(resolve),
      error: settle(reject),
      exit: settle((code) => reject(new Error(`a compiler thread ended with exit code ${code}`))),
    };
    for (const [name, listener] of Object.entries(listeners)) thread.on(name, listener);
    thread.postMessage({ input, roots });
  });
}

/** Errors and warnings once each; contracts and trees of all parts. */
function merge(answers) {
  const merged = {};
  const errors = new Map(answers.flatMap(({ errors = [] }) => errors).map((error) => [JSON.stringify(error), error]));
  if (errors.size > 0) merged.errors = [...errors.values()];
  for (const { contracts = {}, sources = {} } of answers) {
    for (const [file, made] of Object.entries(contracts)) {
      merged.contracts ??= {};
      merged.contracts[file] = { ...merged.contracts[file], ...made };
    }
    merged.sources ??= {};
    for (const [file, source] of Object.entries(sources)) {
      merged.sources[file] = { ...merged.sources[file], ...source };
    }
  }
  return JSON.stringify(merged);
}
