/** The figures of the page that restores. */

import { figure } from "/names.js";

const WRITE_MS = 400; // Faster figures cannot be read.
const WINDOW_MS = 2000;
const SANE_LATENCY_MS = 60000; // More, or less than nothing, is another machine's clock.

/** Gathers what becomes of pictures, and writes it a few times a second. */
export class Pace {
  #pictures = [];
  #dropped = 0;

  constructor() {
    setInterval(() => this.#write(), WRITE_MS);
  }

  /** @param {number} captured ms since 1970 @param {number} ms that its restoration took */
  restored(captured, ms) {
    this.#pictures.push({ at: performance.now(), latency: Date.now() - captured, ms });
  }

  /** A picture had to give way to a newer one. */
  dropped() {
    this.#dropped += 1;
  }

  /** Begins anew. */
  clear() {
    this.#pictures = [];
    this.#dropped = 0;
  }

  #write() {
    const now = performance.now();
    this.#pictures = this.#pictures.filter(({ at }) => now - at <= WINDOW_MS);
    const recent = this.#pictures;
    const latency = mean(recent.map((picture) => picture.latency));
    const span = recent.length > 1 ? recent.at(-1).at - recent[0].at : NaN;
    put("fps", figure((1000 * (recent.length - 1)) / span, "fps", 1));
    put("work", figure(mean(recent.map(({ ms }) => ms)), "ms", 1));
    put("latency", figure(latency >= 0 && latency <= SANE_LATENCY_MS ? latency : NaN, "ms"));
    put("dropped", figure(this.#dropped));
  }
}

/** Writes a figure in its tile. */
export function put(name, text) {
  const element = document.getElementById(`tile-${name}`);
  if (element.textContent !== text) element.textContent = text;
}

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : NaN;
}
