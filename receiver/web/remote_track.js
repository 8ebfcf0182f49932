/** A track that a worker demultiplexes. */

import { soon } from "./fetching.js";
import { Asked } from "./workers.js";

/** See `Track`. */
export class RemoteTrack {
  #asked;
  #patience;
  #number = 0;

  /** @param {Asked} asked @param {number} patience ms @param {object} found what the worker says of the track */
  constructor(asked, patience, { config, width, height, card }) {
    this.#asked = asked;
    this.#patience = patience;
    Object.assign(this, { config, width, height, card });
  }

  /**
   * @param {string | Blob} source an address, or the file itself
   * @param {number} patience ms for which the server may send nothing
   * @param {[string, string][]} known names of networks and digests: a rendition that was made with one is preferred
   * @returns {Promise<RemoteTrack>}
   * @throws {Error} it cannot be read, or has no H.264; the message is for people
   */
  static async open(source, patience, known) {
    const asked = new Asked(new Worker(new URL("./demuxing_worker.js", import.meta.url), { type: "module" }));
    const library = import.meta.resolve("mediabunny"); // Workers have no import map.
    try {
      const found = await soon(asked.ask({ type: "open", source, patience, library, known }), 2 * patience);
      return new RemoteTrack(asked, patience, found);
    } catch (error) {
      asked.stop();
      throw error;
    }
  }

  /** See `Track.packets`; it ends where another one begins. */
  async *packets(from) {
    this.#number += 1;
    const number = this.#number;
    await this.#ask({ type: "seek", from, number });
    for (;;) {
      const { done, value } = await this.#ask({ type: "next", number });
      if (done) return;
      yield value;
    }
  }

  /** Frees what it holds. */
  close() {
    this.#asked.stop();
  }

  #ask(what) {
    return soon(this.#asked.ask(what), 2 * this.#patience);
  }
}
