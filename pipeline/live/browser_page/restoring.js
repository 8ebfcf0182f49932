/** Restoring at the pace of the machine: of the pictures that came meanwhile, the newest is next. */

import { PATIENCE_MS } from "/irn-player/fetching.js";
import { Networks } from "/irn-player/networks.js";
import { cropped, draw, planesOf } from "/irn-player/planes.js";
import { Restorer } from "/irn-player/restorer.js";

const RUNTIME = { folder: new URL("/ort/", location).href, on: "gpu" };
const MANIFEST = new URL("/networks/networks.json", location).href;

/** Hands decoded pictures to the worker, one at a time, and draws what comes back. */
export class Restoring {
  #restorer = new Restorer(RUNTIME);
  #context;
  #handlers;
  #stream = null;
  #loaded = "";
  #idle = false;
  #next = null;
  #wanted = [];

  /**
   * @param {HTMLCanvasElement} canvas to draw on
   * @param {{ready: (provider: string) => void, restored: (head: object, ms: number) => void,
   *          dropped: () => void, failed: (why: string) => void}} handlers
   */
  constructor(canvas, handlers) {
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#handlers = handlers;
  }

  /** @param {object} stream that begins: what came before is forgotten */
  async start(stream) {
    this.#stream = stream;
    this.#idle = false;
    this.#take()?.frame.close();
    try {
      const provider = await this.#network(stream);
      if (stream !== this.#stream) return;
      Object.assign(this.#context.canvas, { width: stream.width, height: stream.height });
      this.#idle = true;
      this.#handlers.ready(provider);
      this.#go();
    } catch (error) {
      this.#failed(stream, error);
    }
  }

  /** @param {VideoFrame} frame is closed in time @param {object} head */
  add(frame, head) {
    const before = this.#take();
    before?.frame.close();
    if (before && this.#loaded) this.#handlers.dropped();
    this.#next = { frame, head };
    this.#go();
  }

  /**
   * The planes of the next picture that is restored.
   * @returns {Promise<{index: number, planes: import("/irn-player/planes.js").Planes}>}
   */
  planes() {
    return new Promise((resolve) => this.#wanted.push(resolve));
  }

  async #network(stream) {
    this.#loaded = "";
    const { model, width, height, lr_width: lrWidth, lr_height: lrHeight, color } = stream;
    const networks = await Networks.at(MANIFEST, PATIENCE_MS);
    if (!networks.ladder(model).length) throw new Error(`the server has no network ${model} for browsers`);
    const files = await networks.files(model);
    const { provider } = await this.#restorer.start(files, { width, height, lrWidth, lrHeight, color });
    this.#loaded = model;
    return provider;
  }

  #take() {
    const taken = this.#next;
    this.#next = null;
    return taken;
  }

  async #go() {
    if (!this.#idle || !this.#next) return;
    this.#idle = false;
    const [stream, { frame, head }] = [this.#stream, this.#take()];
    try {
      const found = await this.#restorer.restore(frame, head);
      if (stream === this.#stream) await this.#restored(head, found);
      found.frame.close();
    } catch (error) {
      this.#failed(stream, error);
    }
    if (stream !== this.#stream) return;
    this.#idle = true;
    this.#go();
  }

  async #restored(head, { frame, ms }) {
    draw(this.#context, frame);
    const wanted = this.#wanted.splice(0);
    if (wanted.length) {
      const { width, height } = this.#stream;
      const planes = cropped(await planesOf(frame, frame.codedWidth, frame.codedHeight), width, height);
      for (const resolve of wanted) resolve({ index: head.index, planes });
    }
    this.#handlers.restored(head, ms);
  }

  #failed(stream, error) {
    if (stream === this.#stream) this.#handlers.failed(`This browser cannot restore the stream: ${error.message}`);
  }
}
