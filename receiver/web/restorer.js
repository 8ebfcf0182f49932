/** Restoring in a worker. */

import { Asked } from "./workers.js";

/**
 * @typedef {object} Stream
 * @property {number} width of the restored picture
 * @property {number} height
 * @property {number} lrWidth of the decoded picture
 * @property {number} lrHeight
 * @property {VideoColorSpaceInit} color
 */

/** Restores one stream after another; answers come in order. */
export class Restorer {
  #asked = new Asked(new Worker(new URL("./restorer_worker.js", import.meta.url), { type: "module" }));
  #runtime;

  /** @param {import("./network.js").Runtime} runtime */
  constructor(runtime) {
    this.#runtime = runtime;
  }

  /**
   * A stream begins, or goes on with another network.
   * @param {import("./networks.js").Files} files of its network
   * @param {Stream} stream
   * @returns {Promise<{provider: string}>} what it runs on, for people to read
   */
  start(files, stream) {
    return this.#asked.ask({ type: "start", files, stream, runtime: this.#runtime });
  }

  /**
   * @param {VideoFrame} frame is closed
   * @param {{qp: number | null, update: Uint8Array | null, group: number}} head mean quantiser, payload of the tuned
   *   weights, and a number that is another one wherever these are others
   * @returns {Promise<{frame: VideoFrame, ms: number, note: string}>} the frame is the caller's; `note` says what is
   *   wrong with the tuned weights
   */
  restore(frame, { qp, update, group }) {
    return this.#asked.ask({ type: "restore", frame, qp, update, group }, [frame]);
  }

  /** Ends the worker. */
  stop() {
    this.#asked.stop();
  }
}
