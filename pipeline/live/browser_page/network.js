/** A network and what it runs on: onnxruntime-web with WebGPU where there is one, else with WebAssembly. */

const FOLDER = "/ort/";
const MOST_THREADS = 8;
const TYPICAL_QP = 28;
const GPU = { name: "webgpu", file: "ort.webgpu.min.mjs" };
const CPU = { name: "wasm", file: "ort.wasm.min.mjs" };

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
   * Loads one, and tries it on a grey picture of the size to come.
   * @param {string} name
   * @param {number} width of the LR picture
   * @param {number} height of the LR picture
   * @returns {Promise<Network>}
   */
  static async load(name, width, height) {
    const graph = await fetched(name);
    if (await hasGpu()) {
      try {
        return await tried(GPU, graph, width, height);
      } catch {
        gpuFailed = true; // A driver that cannot do it will not learn to.
      }
    }
    return tried(CPU, graph, width, height);
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

async function tried({ name, file }, graph, width, height) {
  const ort = await import(FOLDER + file);
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = FOLDER;
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(graph, { executionProviders: [name], logSeverityLevel: 3 });
  const words = name === CPU.name ? `WebAssembly, ${threads} thread${threads > 1 ? "s" : ""}` : "WebGPU";
  const network = new Network(ort, session, words);
  await network.restore(grey(width, height), TYPICAL_QP);
  return network;
}

function grey(width, height) {
  const plane = (size) => new Uint8Array(size).fill(128);
  return { width, height, y: plane(width * height), u: plane((width * height) / 4), v: plane((width * height) / 4) };
}
