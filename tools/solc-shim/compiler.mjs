// npm's WebAssembly build of solc, called as the native command line calls it: what the shim
// (solc.mjs) and the long-lived server (server.mjs) share.
import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

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
export function compile(input, roots) {
  const read = [];
  const output = signBuiltinIds(loadCompiler().compile(input, { import: importReader(roots, read) }));
  return { output, read };
}
