/** The networks that a server has for browsers: a manifest, and files with digests (`irn-models export --web`). */

import { fetched } from "./fetching.js";

const VERSION = 1;
const REAL = "-plus"; // ends the name of a network that was trained to look real
const MOST_BYTES = 1 << 28;
const MANIFEST_BYTES = 1 << 20;

/**
 * @typedef {object} Files of a network
 * @property {string} name
 * @property {Uint8Array} graph an ONNX file
 * @property {import("./weights.js").Weights} weights
 */

/** What the manifest names. */
export class Networks {
  #address;
  #entries;
  #patience;

  /** @param {string} address of the manifest @param {object} entries @param {number} patience ms */
  constructor(address, entries, patience) {
    this.#address = address;
    this.#entries = entries;
    this.#patience = patience;
  }

  /**
   * @param {string} address of `networks.json`
   * @param {number} patience ms for which the server may send nothing
   * @returns {Promise<Networks>}
   */
  static async at(address, patience) {
    const content = await fetched(address, MANIFEST_BYTES, patience);
    let found;
    try {
      found = JSON.parse(new TextDecoder().decode(content));
    } catch {
      throw new Error(`${address} is no list of networks`);
    }
    if (found?.version !== VERSION || typeof found.networks !== "object" || found.networks === null) {
      throw new Error(`${address} is no list of networks that this player reads`);
    }
    return new Networks(address, found.networks, patience);
  }

  /** @returns {[string, string][]} names and digests of all */
  get known() {
    return Object.entries(this.#entries).map(([name, { digest }]) => [name, String(digest)]);
  }

  /**
   * Names of the networks that restore what one of this name sent, itself first, then those that cost less.
   * @param {string} name
   * @param {string} [digest] first digits of the SHA-256 of its weights; empty for any
   * @param {string} [look] "real" for the network of the same sender that looks real, before all others, if it is there
   * @returns {string[]} empty if it is not there
   */
  ladder(name, digest = "", look = "") {
    const own = Object.hasOwn(this.#entries, name) ? this.#entries[name] : null;
    if (!own) return [];
    const mine = String(own.digest);
    if (digest && !mine.startsWith(digest) && !digest.startsWith(mine)) {
      throw new Error(`the stream was made with other weights of ${name} than there are here`);
    }
    const cheaper = Object.entries(this.#entries).filter(
      ([each, { scale, macs_up: macs }]) => scale === own.scale && macs < own.macs_up && !each.endsWith(REAL),
    );
    cheaper.sort(([, one], [, other]) => other.macs_up - one.macs_up);
    const real = look === "real" && Object.hasOwn(this.#entries, name + REAL) ? [name + REAL] : [];
    return [...real, name, ...cheaper.map(([each]) => each)];
  }

  /**
   * Fetches a network and checks it.
   * @param {string} name one of `ladder`
   * @returns {Promise<Files>}
   */
  async files(name) {
    const { graph, weights } = this.#entries[name];
    const [model, tensors] = await Promise.all([this.#checked(graph), this.#checked(weights)]);
    return { name, graph: model, weights: weightsOf(tensors, weights.tensors) };
  }

  async #checked({ file, bytes, sha256 }) {
    if (!(Number.isInteger(bytes) && bytes > 0 && bytes <= MOST_BYTES)) throw new Error(`${file} has no size`);
    const content = await fetched(new URL(file, this.#address).href, bytes, this.#patience);
    const digest = await crypto.subtle.digest("SHA-256", content);
    const found = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (found !== sha256) throw new Error(`${file} is not what its digest says`);
    return content;
  }
}

function weightsOf(content, tensors) {
  const found = new Map();
  let at = 0;
  for (const { name, shape } of tensors) {
    const size = shape.reduce((product, side) => product * side, 1);
    if (!(size > 0) || at + 4 * size > content.length) throw new Error("the list of networks does not fit their weights");
    found.set(name, { shape, data: new Float32Array(content.buffer, at, size) });
    at += 4 * size;
  }
  return found;
}
