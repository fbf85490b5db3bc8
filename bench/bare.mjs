// The canonical runtime alone: node bare.mjs <bundle.mjs> <module.wasm> <request.json>
// The request names a model file, one input with its type, dims of a task and raw bytes of all tasks, and outputs.
// Prints {"tasks": n, "ms": time in session.run of all tasks, one by one} for each round, a line each.
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';

const [bundle, wasm, request] = process.argv.slice(2);
const ort = await import(pathToFileURL(bundle));
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = fs.readFileSync(wasm);
ort.env.logLevel = 'fatal';
const { model, input, type, dims, data, outputs, rounds } = JSON.parse(fs.readFileSync(request, 'utf8'));
const session = await ort.InferenceSession.create(fs.readFileSync(model), {
  executionProviders: ['wasm'],
  graphOptimizationLevel: 'disabled',
  executionMode: 'sequential',
  enableCpuMemArena: false,
  enableMemPattern: false,
  logSeverityLevel: 4,
});
const bytes = fs.readFileSync(data);
const ARRAYS = { float32: Float32Array, int32: Int32Array };
const size = dims.reduce((a, b) => a * b, 1) * 4;
for (let round = 0; round < rounds; round++) {
  let spent = 0;
  for (let at = 0; at < bytes.length; at += size) {
    const own = new Uint8Array(bytes.subarray(at, at + size));
    const begun = performance.now();
    const results = await session.run({ [input]: new ort.Tensor(type, new ARRAYS[type](own.buffer), dims) }, outputs);
    spent += performance.now() - begun;
    Object.values(results).forEach((tensor) => tensor.dispose());
  }
  console.log(JSON.stringify({ tasks: bytes.length / size, ms: spent }));
}
process.exit(0);
