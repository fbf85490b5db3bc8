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
// folder; empty turns the cache off.
import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = path.resolve(path.dirname(fs.realpathSync(fileURLToPath(import.meta.url))), "../..");
const require = createRequire(path.join(ROOT, "package.json"));
const CACHE_FORMAT = "1";
const CACHE_LIMIT_BYTES = 512 * 1024 * 1024;

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

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

/** Reads an import as solc's FileReader does: the base path first, then each include path. */
function importReader(options, seen) {
  const roots = [options.basePath || ".", ...options.includePaths];
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

function compileStandard(options) {
  const input = fs.readFileSync(options.input || 0, "utf8");
  const release = require("solc/package.json").version;
  const folder = cacheFolder();
  const place = [path.resolve(options.basePath || "."), ...options.includePaths.map((p) => path.resolve(p))];
  const key = sha256([CACHE_FORMAT, release, ...place, input].join("\0"));
  const file = folder && path.join(folder, `${key}.json`);
  const kept = folder && readCache(file);
  if (kept) return kept;

  const solc = loadCompiler();
  const read = [];
  const output = signBuiltinIds(solc.compile(input, { import: importReader(options, read) }));
  if (folder) writeCache(folder, file, read, output);
  return output;
}

function loadCompiler() {
  // soljson installs handlers that turn any later rejection into an exit of its own.
  const before = new Set(process.listeners("uncaughtException"));
  const solc = require("solc");
  for (const handler of process.listeners("uncaughtException")) {
    if (!before.has(handler)) process.removeListener("uncaughtException", handler);
  }
  return solc;
}

function versionLines() {
  const [, release, commit] = /^(\d+\.\d+\.\d+)\+(commit\.[0-9a-f]+)/.exec(loadCompiler().version());
  return `solc, the solidity compiler commandline interface\nVersion: ${release}+${commit}.Emscripten.clang\n`;
}

const options = parseArguments(process.argv.slice(2));
if (options.mode === "version") fs.writeSync(1, versionLines());
else if (options.mode === "standard-json") writeAll(compileStandard(options) + "\n");
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
