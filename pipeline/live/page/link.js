/** The WebSocket to the server: it comes back when it is lost, and speaks at most ten times a second. */

const PAUSES = [1, 2, 4, 8];
const SEND_EVERY_MS = 110;

/** One connection after another to one of the server's sockets. */
export class Link {
  #handlers;
  #path;
  #socket = null;
  #tries = 0;
  #waiting = new Map();
  #sender = 0;
  #retry = 0;

  /**
   * @param {{text: (message: object) => void, binary: (bytes: ArrayBuffer) => void,
   *          closed: () => boolean, retrying: (seconds: number) => void}} handlers
   *   `closed` says whether to try again; `retrying` hears the pause before the next try.
   * @param {string} path of the socket
   */
  constructor(handlers, path = "/socket") {
    this.#handlers = handlers;
    this.#path = path;
  }

  /** Connects at once. */
  connect() {
    clearTimeout(this.#retry);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.#path}`);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#received(data));
    socket.addEventListener("close", () => this.#closed());
    this.#socket = socket;
  }

  /**
   * Asks the server for a setting; of several values in quick succession the last is sent.
   * @param {string} name
   * @param {number | string | boolean} value
   */
  set(name, value) {
    this.#waiting.set(name, value);
    if (!this.#sender) this.#send();
  }

  #received(data) {
    if (typeof data !== "string") {
      this.#handlers.binary(data);
      return;
    }
    const message = parsed(data);
    if (message?.type === "start" || message?.type === "stream") this.#tries = 0;
    if (message) this.#handlers.text(message);
  }

  #send() {
    const next = this.#waiting.entries().next();
    // The timer stays armed for one turn after the last message, so that a new value cannot overtake the limit.
    this.#sender = next.done ? 0 : setTimeout(() => this.#send(), SEND_EVERY_MS);
    if (next.done) return;
    const [set, value] = next.value;
    this.#waiting.delete(set);
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ set, value }));
  }

  #closed() {
    this.#waiting.clear();
    if (!this.#handlers.closed()) return;
    const seconds = PAUSES[Math.min(this.#tries, PAUSES.length - 1)];
    this.#tries += 1;
    this.#handlers.retrying(seconds);
    this.#retry = setTimeout(() => this.connect(), seconds * 1000);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // A newer server may say what this page does not know.
  }
}
