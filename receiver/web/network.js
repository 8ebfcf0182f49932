/** A network and what it runs on: onnxruntime-web with WebGPU where there is one, else with WebAssembly. */

import { tuned } from "./weights.js";

const MOST_THREADS = 8;
const TYPICAL_QP = 28;
const NEAR = 1; // Levels by which two ways of computing the same picture may differ.
const [TRIAL_WIDTH, TRIAL_HEIGHT] = [640, 360]; // At most: WebAssembly needs a second for a large picture.
// In its usual layout, NHWC, onnxruntime-web 1.30 convolves wrongly with weights that are themselves computed.
const GPU = { file: "ort.webgpu.min.mjs", provider: { name: "webgpu", preferredLayout: "NCHW" } };
const CPU = { file: "ort.wasm.min.mjs", provider: { name: "wasm" } };

let gpuFailed = false;

/**
 * @typedef {object} Runtime
 * @property {string} folder address of onnxruntime-web's files, with a slash at its end
 * @property {"gpu" | "any" | "cpu"} on a graphics card where there is one; also one that is emulated, for tests; none
 */

/** The receiver of one network. */
export class Network {
  #ort;
  #session;
  #general;
  #weights;
  #tensors;
  #update = null;

  /**
   * @param {object} ort the module
   * @param {object} session
   * @param {import("./weights.js").Weights} weights of the general network
   * @param {string} provider for people to read
   */
  constructor(ort, session, weights, provider) {
    this.#ort = ort;
    this.#session = session;
    this.#general = weights;
    this.provider = provider;
    this.#use(weights);
  }

  /**
   * Loads one, and tries it on a picture like those to come: a graphics card has to agree with the processor.
   * @param {import("./networks.js").Files} files
   * @param {Runtime} runtime
   * @param {number} width of the LR picture
   * @param {number} height of the LR picture
   * @returns {Promise<Network>}
   */
  static async load(files, runtime, width, height) {
    const trial = pattern(Math.min(width, TRIAL_WIDTH), Math.min(height, TRIAL_HEIGHT));
    const cpu = await opened(CPU, files, runtime);
    const expected = await cpu.restore(trial, TYPICAL_QP);
    const gpu = (await hasGpu(runtime)) ? await agreeing(files, runtime, trial, expected) : null;
    if (gpu) await cpu.release();
    return gpu ?? cpu;
  }

  /**
   * Takes tuned weights for the pictures to come, or the general ones.
   * @param {Uint8Array | null} update payload of an SEI message
   * @returns {string} why the general ones are used in place of those that came; empty if they are not
   */
  tune(update) {
    if (update === this.#update) return "";
    this.#update = update;
    try {
      this.#use(update ? tuned(update, this.#general) : this.#general);
    } catch (error) {
      this.#use(this.#general);
      return error.message;
    }
    return "";
  }

  /**
   * @param {import("./planes.js").Planes} lr even sides
   * @param {number | null} qp its mean quantiser; null for a stream without loss
   * @returns {Promise<import("./planes.js").Planes>} padding included
   */
  async restore({ width, height, y, u, v }, qp) {
    const plane = (data, w, h) => new this.#ort.Tensor("uint8", data, [1, 1, h, w]);
    const found = await this.#session.run({
      y: plane(y, width, height),
      u: plane(u, width / 2, height / 2),
      v: plane(v, width / 2, height / 2),
      qp: new this.#ort.Tensor("float32", [qp ?? 0], [1]),
      ...this.#tensors,
    });
    const [, , h, w] = found.restored_y.dims;
    return { width: w, height: h, y: found.restored_y.data, u: found.restored_u.data, v: found.restored_v.data };
  }

  /** Frees what it holds. */
  release() {
    return this.#session.release();
  }

  #use(weights) {
    if (weights === this.#weights) return;
    this.#weights = weights;
    const wanted = new Set(this.#session.inputNames);
    const some = [...weights].filter(([name]) => wanted.has(name));
    this.#tensors = Object.fromEntries(
      some.map(([name, { shape, data }]) => [name, new this.#ort.Tensor("float32", data, shape)]),
    );
  }
}

/** One that is emulated does not count: it needs seconds for a picture. */
async function hasGpu({ on }) {
  const adapter = gpuFailed || on === "cpu" ? null : await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && (on === "any" || !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter));
}

/** The network on the graphics card, or null where that fails or computes something else. */
async function agreeing(files, runtime, trial, expected) {
  try {
    const gpu = await opened(GPU, files, runtime);
    if (same(await gpu.restore(trial, TYPICAL_QP), expected)) return gpu;
    await gpu.release();
  } catch (error) {
    console.debug("WebGPU is there but cannot be used:", error);
  }
  gpuFailed = true; // It will not learn to.
  return null;
}

async function opened({ file, provider }, { graph, weights }, { folder }) {
  const ort = await import(folder + file);
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = folder;
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(graph, { executionProviders: [provider], logSeverityLevel: 3 });
  const on = provider === GPU.provider ? "WebGPU" : `WebAssembly, ${counted(threads)}`;
  return new Network(ort, session, weights, on);
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
