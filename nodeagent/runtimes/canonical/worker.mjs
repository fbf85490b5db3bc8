// Runs ONNX models one task at a time in onnxruntime's WebAssembly build. Started by the executor as
//   node worker.mjs <bundle.mjs> <module.wasm>
// and spoken to over stdin and stdout: u32 big-endian header length, header JSON, payload of header.payload bytes.
// The answer to a task depends on the model and the feeds alone: one thread, no graph optimisation, no other provider.
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';

const MAX_HEADER = 1 << 20;
const MAX_PAYLOAD = 512 * (1 << 20);
const OPTIONS = {
  executionProviders: ['wasm'],
  graphOptimizationLevel: 'disabled',
  executionMode: 'sequential',
  enableCpuMemArena: false,
  enableMemPattern: false,
  logSeverityLevel: 4,
};
const ARRAYS = {
  float32: Float32Array, float64: Float64Array, float16: Uint16Array, bool: Uint8Array,
  int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array,
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array,
};

const [bundle, wasm] = process.argv.slice(2);
const ort = await import(pathToFileURL(bundle));
ort.env.wasm.numThreads = 1;
ort.env.wasm.proxy = false;
ort.env.wasm.wasmBinary = fs.readFileSync(wasm);
ort.env.logLevel = 'fatal';

const sessions = new Map(); // model digest -> session, least recently used first

function readExact(size) {
  const buffer = Buffer.allocUnsafeSlow(size); // its own memory: views into it start aligned
  for (let at = 0; at < size; ) {
    let got;
    try {
      got = fs.readSync(0, buffer, at, size - at, null);
    } catch (error) {
      if (error.code === 'EAGAIN') continue;
      throw error;
    }
    if (got === 0) process.exit(0); // the executor ended, so does this
    at += got;
  }
  return buffer;
}

function readFrame() {
  const length = readExact(4).readUInt32BE(0);
  if (length < 2 || length > MAX_HEADER) process.exit(3);
  const header = JSON.parse(readExact(length).toString('utf8'));
  const size = header.payload ?? 0;
  if (!Number.isInteger(size) || size < 0 || size > MAX_PAYLOAD) process.exit(3);
  return [header, size ? readExact(size) : Buffer.alloc(0)];
}

function writeAll(bytes) {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += fs.writeSync(1, bytes, at, bytes.length - at);
    } catch (error) {
      if (error.code !== 'EAGAIN') process.exit(0);
    }
  }
}

function writeFrame(header, parts = []) {
  const payload = parts.reduce((sum, part) => sum + part.length, 0);
  const text = Buffer.from(JSON.stringify({ ...header, payload }), 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length, 0);
  // one write where the answer is small: the executor wakes once
  (payload <= 1 << 18 ? [Buffer.concat([length, text, ...parts])] : [length, text, ...parts]).forEach(writeAll);
}

async function load({ digest, keep }, model) {
  let session = sessions.get(digest);
  sessions.delete(digest);
  while (sessions.size >= keep) {
    const [oldest, old] = sessions.entries().next().value;
    sessions.delete(oldest);
    await old.release();
  }
  if (!session && !model.length) throw new Error('the session is gone');
  session ??= await ort.InferenceSession.create(model, OPTIONS);
  sessions.set(digest, session);
  return [{ ok: true }];
}

function encode(tensor) {
  const { type, dims } = tensor;
  if (type === 'string') {
    const parts = tensor.data.flatMap((item) => {
      const text = Buffer.from(item, 'utf8');
      const length = Buffer.alloc(4);
      length.writeUInt32BE(text.length, 0);
      return [length, text];
    });
    return [{ type, dims, size: parts.reduce((sum, part) => sum + part.length, 0) }, parts];
  }
  const bytes = Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  return [{ type, dims, size: bytes.length }, [bytes]];
}

async function run({ digest, feeds, fetches, max }, payload) {
  const session = sessions.get(digest);
  const inputs = {};
  let at = 0;
  for (const { name, type, dims, size } of feeds) {
    const bytes = new Uint8Array(payload.subarray(at, at + size)); // a copy, so that it starts aligned
    inputs[name] = new ort.Tensor(type, new ARRAYS[type](bytes.buffer), dims);
    at += size;
  }
  const results = await session.run(inputs, fetches);
  const encoded = fetches.map((name) => encode(results[name]));
  const size = encoded.reduce((sum, [head]) => sum + head.size, 0);
  const reply =
    size > max ? [{ ok: true, oversize: size }] : [{ ok: true, outputs: encoded.map(([head]) => head) }, encoded.flatMap(([, parts]) => parts)];
  Object.values(results).forEach((tensor) => tensor.dispose());
  return reply;
}

const ACTIONS = { load, run };
writeFrame({ ok: true, pid: process.pid });
for (;;) {
  const [header, payload] = readFrame();
  let reply;
  try {
    reply = await ACTIONS[header.op](header, payload);
  } catch (error) {
    reply = [{ ok: false, message: String(error?.message ?? error).slice(0, 2000) }];
  }
  writeFrame(...reply);
}
