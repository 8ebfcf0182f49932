/** The headline figures in their tiles. */

import { figure } from "/names.js";

const SAME_RATE = 0.05; // As a share: bit rates this close are called the same.
const MEAN_OF = 50;
const GAIN_MS = 10000; // The gain is the mean over the frames of this last time, as the server's counts are.
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

  /** @param {Record<string, number | null>} psnr of one frame; `ours` only where the network restored it */
  psnr({ ours, lanczos }) {
    if (Number.isFinite(ours) && Number.isFinite(lanczos)) {
      this.#gains.push({ at: performance.now(), gain: ours - lanczos });
    }
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
    const { kbps = {}, times, fps, loss, counts, delay_ms, delay_p95_ms } = this.#state;
    put("rate", figure(kbps.ours, "kb/s"), "lanczos" in kbps ? `Lanczos ${figure(kbps.lanczos, "kb/s")}` : "video alone");
    put("full", figure(kbps.full, "kb/s"), kbps.full > 0 ? samePsnr(times) : whyNone(loss, counts));
    this.#writeGain(kbps, counts);
    put("latency", figure(mean(this.#latencies), "ms"), `${figure(delay_ms)} restored, 95 %: ${figure(delay_p95_ms)}`);
    put("loss", figure(percent(loss), "%", 1), lost(counts));
    put("fps", figure(fps, "fps", fps < 10 ? 1 : 0), instead(counts));
  }

  #writeGain(kbps, counts) {
    this.#gains = this.#gains.filter(({ at }) => at > this.#written - GAIN_MS);
    const gain = mean(this.#gains.map((known) => known.gain));
    const tenths = Math.round(gain * 10) || 0; // Neither −0 nor NaN.
    const sign = tenths > 0 ? "+" : tenths < 0 ? "−" : "";
    const known = this.#gains.length > 0;
    put("gain", known ? sign + figure(Math.abs(tenths) / 10, "dB", 1) : "–", known ? sameRate(kbps) : whyNone(0, counts));
    document.getElementById("tile-gain").dataset.winner = tenths > 0 ? "ours" : tenths < 0 ? "lanczos" : "";
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

function samePsnr(times) {
  return times > 0 ? `${figure(times, "", 1)}× the bits of a frame, same PSNR` : "at the same PSNR";
}

function sameRate({ ours, lanczos }) {
  if (!(ours > 0 && lanczos > 0)) return "PSNR-Y";
  const same = Math.abs(ours / lanczos - 1) <= SAME_RATE;
  return same ? "at the same bit rate" : `which took ${figure(lanczos, "kb/s")}`;
}

/** Why something is not measured now. */
function whyNone(loss, counts) {
  if (!counts) return "";
  if (loss > 0) return "not while packets are lost";
  if (counts.restored === 0) return "no frame restored in time";
  return "being measured";
}

function lost(counts) {
  return counts ? `in 10 s: ${figure(counts.missing)} missing, ${figure(counts.concealed)} concealed` : "";
}

function instead(counts) {
  return counts ? `in 10 s: ${figure(counts.fallback)} by Lanczos, ${figure(counts.late)} late` : "";
}

function keep(values, value) {
  values.push(value);
  if (values.length > MEAN_OF) values.shift();
}

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : NaN;
}
