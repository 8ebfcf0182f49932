/** The browser's own H.264 decoder: access units in, pictures out. */

const MOST_WAITING = 30; // Access units in the decoder: more, and it goes on at the next keyframe.
const MOST_HEADS = 64;
const MOST_FAILURES = 5; // In a row.
const COMMON = "avc1.42c01e"; // Stands for all H.264 while it is not known what will come.

/**
 * @typedef {object} Head what is known about an access unit; whatever else it has comes back with its picture
 * @property {number} index its own, a whole number; WebCodecs takes it for the timestamp
 * @property {boolean} keyframe
 */

/**
 * How the decoder is to work, or null where H.264 cannot be decoded. Software is preferred: the pictures are small,
 * and those of a graphics card would have to be read back.
 * @param {string} [codec] in RFC 6381's words
 * @returns {Promise<object | null>}
 */
export async function decoderOptions(codec = COMMON) {
  const plain = { optimizeForLatency: true };
  for (const options of [{ ...plain, hardwareAcceleration: "prefer-software" }, plain]) {
    const { supported } = await VideoDecoder.isConfigSupported({ codec, ...options });
    if (supported) return options;
  }
  return null;
}

/** Decodes one stream after another; after damage it goes on at the next keyframe. */
export class Decoder {
  #options;
  #handlers;
  #config = null;
  #decoder = null;
  #heads = new Map();
  #failures = 0;

  /**
   * @param {object} options of `decoderOptions`
   * @param {{picture: (frame: VideoFrame, head: Head) => void, failed: (why: string) => void}} handlers
   *   `picture` has to close the frame.
   */
  constructor(options, handlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /**
   * @param {{codec: string, description?: Uint8Array}} config of a stream that begins now; without a description its
   *   access units are in Annex B's form
   */
  start(config) {
    this.stop();
    this.#config = config;
    this.#failures = 0;
  }

  /** How many access units wait in the decoder. */
  get waiting() {
    return this.#decoder?.decodeQueueSize ?? 0;
  }

  /** Forgets what is under way. */
  stop() {
    if (this.#decoder?.state === "configured") this.#decoder.close();
    this.#decoder = null;
    this.#heads.clear();
  }

  /** @param {Head} head @param {BufferSource} data an access unit */
  decode(head, data) {
    if (this.waiting > MOST_WAITING) this.stop();
    if (!this.#decoder && head.keyframe) this.#open();
    if (!this.#decoder) return;
    this.#heads.set(head.index, head);
    if (this.#heads.size > MOST_HEADS) this.#heads.delete(this.#heads.keys().next().value);
    const type = head.keyframe ? "key" : "delta";
    try {
      this.#decoder.decode(new EncodedVideoChunk({ type, timestamp: head.index, data }));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Brings out the last pictures of a stream. */
  async flush() {
    await this.#decoder?.flush().catch(() => {}); // Whoever stops it in the meantime knows.
  }

  #open() {
    const decoder = new VideoDecoder({
      output: (frame) => (this.#decoder === decoder ? this.#decoded(frame) : frame.close()),
      error: (error) => this.#decoder === decoder && this.#failed(error),
    });
    this.#decoder = decoder;
    decoder.configure({ ...this.#config, ...this.#options });
  }

  #decoded(frame) {
    const head = this.#heads.get(frame.timestamp);
    this.#heads.delete(frame.timestamp);
    this.#failures = 0;
    if (head) this.#handlers.picture(frame, head);
    else frame.close();
  }

  #failed(error) {
    this.stop();
    this.#failures += 1;
    if (this.#failures >= MOST_FAILURES) this.#handlers.failed(`The stream cannot be decoded: ${error.message}`);
  }
}
