/** Restoring at the pace of the machine: of the pictures that came meanwhile, the newest is next. */

/** Hands decoded pictures to the worker, one at a time. */
export class Restoring {
  #worker = new Worker("/restorer.js", { type: "module" });
  #handlers;
  #run = 0;
  #loaded = false;
  #idle = false;
  #next = null;
  #wanted = [];

  /**
   * @param {HTMLCanvasElement} canvas to draw on; nobody else may
   * @param {{ready: (provider: string) => void, restored: (head: object, ms: number) => void,
   *          dropped: () => void, failed: (why: string) => void}} handlers
   */
  constructor(canvas, handlers) {
    this.#handlers = handlers;
    const offscreen = canvas.transferControlToOffscreen();
    this.#worker.postMessage({ type: "canvas", canvas: offscreen }, [offscreen]);
    this.#worker.addEventListener("message", ({ data }) => this.#heard(data));
    this.#worker.addEventListener("error", () => handlers.failed("The restorer could not be started."));
  }

  /** @param {object} stream that begins: what came before is forgotten */
  start(stream) {
    this.#run += 1;
    this.#loaded = false;
    this.#idle = false;
    this.#take()?.frame.close();
    this.#worker.postMessage({ type: "stream", run: this.#run, stream });
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
   * @returns {Promise<{index: number, planes: import("/planes.js").Planes}>}
   */
  planes() {
    return new Promise((resolve) => this.#wanted.push(resolve));
  }

  #take() {
    const taken = this.#next;
    this.#next = null;
    return taken;
  }

  #go() {
    if (!this.#idle || !this.#next) return;
    this.#idle = false;
    const { frame, head } = this.#take();
    const wanted = this.#wanted.length > 0;
    this.#worker.postMessage({ type: "picture", run: this.#run, frame, head, wanted }, [frame]);
  }

  #heard({ type, run, provider, head, ms, planes, why }) {
    if (run !== this.#run) return; // Of a stream that is over.
    if (type === "failed") return this.#handlers.failed(`This browser cannot restore the stream: ${why}`);
    if (type === "ready") this.#ready(provider);
    else this.#restored(head, ms, planes);
    this.#idle = true;
    this.#go();
  }

  #ready(provider) {
    this.#loaded = true;
    this.#handlers.ready(provider);
  }

  #restored(head, ms, planes) {
    if (planes) for (const resolve of this.#wanted.splice(0)) resolve({ index: head.index, planes });
    this.#handlers.restored(head, ms);
  }
}
