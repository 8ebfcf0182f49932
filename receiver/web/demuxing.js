/** Access units out of files and playlists, by the library mediabunny. */

import { AccessUnits } from "./access_unit.js";
import { soon } from "./fetching.js";

const MOST_TRIES = 3;
const MOST_RENDITIONS = 16;

/** A video's H.264 track; of a playlist's renditions the best one that can be restored. */
export class Track {
  #input;
  #sink;
  #patience;

  /**
   * @param {object} input mediabunny's
   * @param {object} sink its packets
   * @param {VideoDecoderConfig} config
   * @param {Uint8Array | null} card payload of its stream card
   * @param {number} patience ms
   */
  constructor(input, sink, config, card, patience) {
    this.#input = input;
    this.#sink = sink;
    this.#patience = patience;
    this.config = { codec: config.codec, description: bytesOf(config.description) };
    this.width = config.codedWidth;
    this.height = config.codedHeight;
    this.card = card;
  }

  /**
   * @param {string | Blob} source an address, or the file itself
   * @param {number} patience ms for which the server may send nothing
   * @param {(card: Uint8Array) => Promise<boolean>} takes whether what has this card can be restored
   * @param {string} [library] where mediabunny is
   * @returns {Promise<Track>} one that can be restored; if none can, one that says why
   * @throws {Error} it cannot be read, or has no H.264; the message is for people
   */
  static async open(source, patience, takes, library = "mediabunny") {
    const { ALL_FORMATS, BlobSource, EncodedPacketSink, Input, UrlSource } = await import(library);
    const getRetryDelay = (tries) => (tries < MOST_TRIES ? 0.5 * 2 ** tries : null);
    const from = source instanceof Blob ? new BlobSource(source) : new UrlSource(source, { getRetryDelay });
    const input = new Input({ source: from, formats: ALL_FORMATS });
    try {
      let other = null;
      for (const { track } of await soon(renditions(input), patience)) {
        const config = await soon(track.getDecoderConfig(), patience);
        if (!config?.codec.startsWith("avc")) continue;
        const sink = new EncodedPacketSink(track);
        const first = await soon(sink.getFirstKeyPacket(), patience);
        const { card } = new AccessUnits(bytesOf(config.description)).read(first?.data ?? new Uint8Array());
        const found = new Track(input, sink, config, card, patience);
        if (card && (await takes(card))) return found;
        if (!other || (card && !other.card)) other = found;
      }
      if (!other) throw new Error("there is no H.264 in this file");
      return other;
    } catch (error) {
      input.dispose();
      throw error;
    }
  }

  /**
   * Access units in order of decoding, from the keyframe at or before a time.
   * @param {number} from seconds
   * @returns {AsyncGenerator<{data: Uint8Array, time: number, duration: number, keyframe: boolean}>}
   * @throws {Error} it cannot be read on
   */
  async *packets(from) {
    const soonest = (promise) => soon(promise, this.#patience); // Of damaged files, too, some packets never come.
    const first = (await soonest(this.#sink.getKeyPacket(from))) ?? (await soonest(this.#sink.getFirstKeyPacket()));
    if (!first) return;
    const packets = this.#sink.packets(first);
    try {
      for (;;) {
        const { done, value } = await soonest(packets.next());
        if (done) return;
        const { data, timestamp: time, duration, type } = value;
        yield { data, time, duration, keyframe: type === "key" };
      }
    } finally {
      packets.return().catch(() => {});
    }
  }

  /** Frees what it holds. */
  close() {
    this.#input.dispose();
  }
}

/** Video tracks, that of the highest rate first. */
async function renditions(input) {
  const tracks = (await input.getVideoTracks()).slice(0, MOST_RENDITIONS);
  const rated = await Promise.all(tracks.map(async (track) => ({ track, rate: (await track.getBitrate()) ?? 0 })));
  return rated.sort((one, other) => other.rate - one.rate);
}

function bytesOf(source) {
  if (!source) return undefined;
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
}
