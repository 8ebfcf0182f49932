/** A network and what it runs on: onnxruntime-web with WebGPU where there is one, else with WebAssembly. */

const FOLDER = "/ort/";
const MOST_THREADS = 8;
const TYPICAL_QP = 28;
const NEAR = 1; // Levels by which two ways of computing the same picture may differ.
// In its usual layout, NHWC, onnxruntime-web 1.30 convolves wrongly with weights that are themselves computed.
const GPU = { file: "ort.webgpu.min.mjs", provider: { name: "webgpu", preferredLayout: "NCHW" } };
const CPU = { file: "ort.wasm.min.mjs", provider: { name: "wasm" } };

let gpuFailed = false;

/** The receiver of one network, for pictures of one size. */
export class Network {
  #ort;
  #session;

  /** @param {object} ort the module @param {object} session @param {string} provider for people to read */
  constructor(ort, session, provider) {
    this.#ort = ort;
    this.#session = session;
    this.provider = provider;
  }

  /**
   * Loads one, and tries it on a picture of the size to come: a graphics card has to agree with the processor.
   * @param {string} name
   * @param {number} width of the LR picture
   * @param {number} height of the LR picture
   * @returns {Promise<Network>}
   */
  static async load(name, width, height) {
    const [graph, trial] = [await fetched(name), pattern(width, height)];
    const cpu = await opened(CPU, graph);
    const expected = await cpu.restore(trial, TYPICAL_QP);
    const gpu = (await hasGpu()) ? await agreeing(graph, trial, expected) : null;
    if (gpu) await cpu.release();
    return gpu ?? cpu;
  }

  /**
   * @param {import("/planes.js").Planes} lr even sides
   * @param {number | null} qp its mean quantiser; null for a stream without loss
   * @returns {Promise<import("/planes.js").Planes>} padding included
   */
  async restore({ width, height, y, u, v }, qp) {
    const plane = (data, w, h) => new this.#ort.Tensor("uint8", data, [1, 1, h, w]);
    const found = await this.#session.run({
      y: plane(y, width, height),
      u: plane(u, width / 2, height / 2),
      v: plane(v, width / 2, height / 2),
      qp: new this.#ort.Tensor("float32", [qp ?? 0], [1]),
    });
    const [, , h, w] = found.restored_y.dims;
    return { width: w, height: h, y: found.restored_y.data, u: found.restored_u.data, v: found.restored_v.data };
  }

  /** Frees what it holds. */
  release() {
    return this.#session.release();
  }
}

async function fetched(name) {
  const response = await fetch(`/networks/${encodeURIComponent(name)}.onnx`);
  if (response.status === 404) throw new Error(`the server has no network ${name} for browsers`);
  if (!response.ok) throw new Error(await response.text());
  return new Uint8Array(await response.arrayBuffer());
}

/** One that is emulated does not count: it needs seconds for a picture. */
async function hasGpu() {
  const adapter = gpuFailed ? null : await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

/** The network on the graphics card, or null where that fails or computes something else. */
async function agreeing(graph, trial, expected) {
  try {
    const gpu = await opened(GPU, graph);
    if (same(await gpu.restore(trial, TYPICAL_QP), expected)) return gpu;
    await gpu.release();
  } catch (error) {
    console.debug("WebGPU is there but cannot be used:", error);
  }
  gpuFailed = true; // It will not learn to.
  return null;
}

async function opened({ file, provider }, graph) {
  const ort = await import(FOLDER + file);
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = FOLDER;
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(graph, { executionProviders: [provider], logSeverityLevel: 3 });
  return new Network(ort, session, provider === GPU.provider ? "WebGPU" : `WebAssembly, ${counted(threads)}`);
}

function counted(threads) {
  return threads > 1 ? `${threads} threads` : "1 thread";
}

function same(one, other) {
  const near = (plane) => one[plane].every((value, index) => Math.abs(value - other[plane][index]) <= NEAR);
  return ["y", "u", "v"].every(near);
}

/** Waves from broad to fine, so that every part of the network has something to do. */
function pattern(width, height) {
  const wave = (index) => 128 + 100 * Math.sin((index * index) / (8 * width));
  const plane = (size) => Uint8Array.from({ length: size }, (_, index) => wave(index));
  const [luma, chroma] = [width * height, (width * height) / 4];
  return { width, height, y: plane(luma), u: plane(chroma), v: plane(chroma) };
}
