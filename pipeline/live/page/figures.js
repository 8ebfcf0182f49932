/** The headline figures in their tiles. */

import { figure } from "/names.js";

const SAME_RATE = 0.05; // As a share: bit rates this close are called the same.
const MEAN_OF = 50;
const WRITE_MS = 400; // Faster figures cannot be read.

/** Gathers what the server says and the page measures, and writes it a few times a second. */
export class Figures {
  #state = {};
  #gains = [];
  #latencies = [];
  #written = 0;

  /** @param {object} state the server's message of that type */
  state(state) {
    this.#state = state;
    this.#write();
  }

  /** @param {Record<string, number | null>} psnr of one picture */
  psnr(psnr) {
    if (Number.isFinite(psnr.ours) && Number.isFinite(psnr.lanczos)) keep(this.#gains, psnr.ours - psnr.lanczos);
    else this.#gains = [];
    if (performance.now() - this.#written > WRITE_MS) this.#write();
  }

  /** @param {number | null} ms from capture to the screen, of one picture */
  latency(ms) {
    if (ms === null) this.#latencies = [];
    else keep(this.#latencies, ms);
  }

  /** Forgets everything. */
  clear() {
    this.#state = {};
    this.#gains = [];
    this.#latencies = [];
    this.#write();
  }

  #write() {
    this.#written = performance.now();
    const { kbps = {}, fps, loss, counts, delay_ms, delay_p95_ms } = this.#state;
    const gain = mean(this.#gains);
    put("rate", figure(kbps.ours, "kb/s"), `Lanczos ${figure(kbps.lanczos, "kb/s")}`);
    put("full", figure(kbps.full, "kb/s"), times(kbps));
    put("gain", gain > 0 ? `+${figure(gain, "dB", 1)}` : figure(gain, "dB", 1).replace("-", "−"), sameRate(kbps));
    put("latency", figure(mean(this.#latencies), "ms"), `${figure(delay_ms)} restored, 95 %: ${figure(delay_p95_ms)}`);
    put("loss", figure(percent(loss), "%", 1), lost(counts));
    put("fps", figure(fps, "fps", fps < 10 ? 1 : 0), restored(counts));
  }
}

function put(name, value, more) {
  write(document.getElementById(`tile-${name}`), value);
  write(document.getElementById(`more-${name}`), more || "\u00a0");
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function percent(share) {
  return Number.isFinite(share) ? share * 100 : NaN;
}

function times({ full, ours }) {
  return full > 0 && ours > 0 ? `${figure(full / ours, "", 1)}× at the same PSNR` : "at the same PSNR";
}

function sameRate({ ours, lanczos }) {
  if (!(ours > 0 && lanczos > 0)) return "PSNR-Y";
  const same = Math.abs(ours / lanczos - 1) <= SAME_RATE;
  return same ? "at the same bit rate" : `which took ${figure(lanczos, "kb/s")}`;
}

function lost(counts) {
  return counts ? `${figure(counts.missing)} missing, ${figure(counts.concealed)} concealed` : "";
}

function restored(counts) {
  return counts ? `${figure(counts.late)} late, ${figure(counts.fallback)} fallback` : "";
}

function keep(values, value) {
  values.push(value);
  if (values.length > MEAN_OF) values.shift();
}

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : NaN;
}
