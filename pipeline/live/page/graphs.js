/** Small live charts of the last half minute, each on a canvas of its own. */

import { figure } from "/names.js";

const WINDOW_S = 30;
const SAMPLES = 900;
const HOLE_S = 2; // Further apart than this, two samples are not joined.
const MARGIN = { left: 46, right: 14, top: 20, bottom: 22 };
const RIGHT_AXIS = 34;
const TICK_PX = 26;
const STEPS = [1, 2, 2.5, 5, 10];
const DRAW_MS = 200;
const CALM_DRAW_MS = 1000;

/**
 * @typedef {{key: string, unit: string, digits?: number, dash?: number[], right?: boolean}} Series
 * @typedef {{left: {unit: string, least: number, zero: boolean}, right?: {unit: string, least: number, zero: boolean}}} Axes
 *   `least` is the smallest span an axis shows; `zero` says whether it begins there.
 */

/** One chart: lines over time, one or two axes, and a legend with the newest figures. */
export class Graph {
  #canvas;
  #context;
  #series;
  #axes;
  #legend = new Map();
  #samples = [];
  #style = null;

  /** @param {HTMLCanvasElement} canvas @param {Series[]} series @param {Axes} axes */
  constructor(canvas, series, axes) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#series = series;
    this.#axes = axes;
    for (const { key } of series) {
      this.#legend.set(key, canvas.parentElement.querySelector(`[data-value="${key}"]`));
    }
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (this.#style = null));
  }

  /** @param {Record<string, number | null>} values of some of the series, now */
  add(values) {
    this.#samples.push({ at: performance.now() / 1000, values });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /** Draws the last half minute. */
  draw() {
    const now = performance.now() / 1000;
    const oldest = this.#samples.findIndex(({ at }) => at > now - WINDOW_S - HOLE_S);
    this.#samples.splice(0, oldest < 0 ? this.#samples.length : oldest);
    this.#style ??= styleOf(this.#canvas, this.#series);
    const plot = this.#plot(now);
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#drawTimes(plot);
    for (const side of Object.keys(this.#axes)) this.#drawAxis(plot, side);
    for (const series of this.#series) this.#drawLine(plot, series);
    this.#write();
  }

  #fit() {
    const { clientWidth, clientHeight } = this.#canvas;
    this.#canvas.width = Math.round(clientWidth * devicePixelRatio);
    this.#canvas.height = Math.round(clientHeight * devicePixelRatio);
    this.draw();
  }

  #plot(now) {
    const { clientWidth, clientHeight } = this.#canvas;
    this.#context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    const right = clientWidth - (this.#axes.right ? RIGHT_AXIS : MARGIN.right);
    const plot = { left: MARGIN.left, right, top: MARGIN.top, bottom: clientHeight - MARGIN.bottom };
    plot.x = (at) => plot.right + ((at - now) / WINDOW_S) * (plot.right - plot.left);
    for (const side of Object.keys(this.#axes)) plot[`${side}Range`] = this.#range(side, plot);
    return plot;
  }

  #range(side, { top, bottom }) {
    const keys = this.#series.filter(({ right }) => Boolean(right) === (side === "right")).map(({ key }) => key);
    const values = this.#samples.flatMap((sample) => keys.map((key) => sample.values[key])).filter(Number.isFinite);
    const { least, zero } = this.#axes[side];
    const most = Math.max(...values, zero || !values.length ? least : -Infinity);
    const low = zero ? 0 : Math.min(...values, most - least);
    return ticked(low, most, Math.max(2, Math.round((bottom - top) / TICK_PX)));
  }

  #height({ top, bottom }, { low, high }, value) {
    return bottom - ((value - low) / (high - low)) * (bottom - top);
  }

  #drawTimes({ left, right, bottom }) {
    const context = this.#context;
    this.#text("center", "top");
    for (let ago = WINDOW_S; ago >= 0; ago -= 10) {
      const x = right - (ago / WINDOW_S) * (right - left);
      context.textAlign = ago === 0 ? "right" : ago === WINDOW_S ? "left" : "center";
      context.fillText(ago ? `−${ago} s` : "now", x, bottom + 7);
    }
  }

  #text(align, baseline) {
    const context = this.#context;
    context.font = this.#style.font;
    context.fontKerning = "normal";
    context.textAlign = align;
    context.textBaseline = baseline;
    context.fillStyle = this.#style.text;
  }

  #drawAxis(plot, side) {
    const context = this.#context;
    const range = plot[`${side}Range`];
    const x = side === "left" ? plot.left - 7 : plot.right + 7;
    this.#text(side === "left" ? "right" : "left", "middle");
    for (let tick = 0; tick <= range.count; tick += 1) {
      const value = range.low + tick * range.step;
      const y = Math.round(this.#height(plot, range, value)) + 0.5;
      context.fillText(figure(value, "", range.digits), x, y);
      if (side === "right") continue;
      context.fillStyle = this.#style.line;
      context.fillRect(plot.left, y - 0.5, plot.right - plot.left, 1);
      context.fillStyle = this.#style.text;
    }
    context.fillText(this.#axes[side].unit, x, plot.top - 13);
  }

  #drawLine(plot, { key, dash, right }) {
    const context = this.#context;
    const range = right ? plot.rightRange : plot.leftRange;
    context.save();
    context.beginPath();
    context.rect(plot.left, 0, plot.right - plot.left + 2, plot.bottom + 2);
    context.clip();
    context.beginPath();
    let before = -Infinity;
    for (const { at, values } of this.#samples) {
      if (values[key] === undefined) continue; // A sample of other series.
      const known = Number.isFinite(values[key]);
      if (known) {
        const y = this.#height(plot, range, values[key]);
        if (at - before > HOLE_S) context.moveTo(plot.x(at), y);
        else context.lineTo(plot.x(at), y);
      }
      before = known ? at : -Infinity;
    }
    context.strokeStyle = this.#style[key];
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.setLineDash(dash ?? []);
    context.stroke();
    context.restore();
  }

  #write() {
    for (const { key, unit, digits } of this.#series) {
      const newest = this.#samples.findLast(({ values }) => values[key] !== undefined);
      const text = figure(newest?.values[key], unit, digits);
      const place = this.#legend.get(key);
      if (place.textContent !== text) place.textContent = text;
    }
  }
}

/**
 * Draws all of them a few times a second while the page is seen; less often for who wants little motion.
 * @param {Graph[]} graphs
 */
export function keepDrawing(graphs) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const turn = () => {
    if (!document.hidden) for (const graph of graphs) graph.draw();
    setTimeout(turn, calm.matches ? CALM_DRAW_MS : DRAW_MS);
  };
  turn();
}

/** The axis that holds both values with round ticks, `count` of them or a few less. */
function ticked(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = STEPS.find((factor) => factor * power >= rough * 0.999) * power;
  const from = Math.floor(low / step + 1e-6) * step;
  const steps = Math.ceil((high - from) / step - 1e-6);
  const digits = step >= 1 && step % 1 === 0 ? 0 : step * 10 % 1 === 0 ? 1 : 2;
  return { low: from, high: from + steps * step, step, count: steps, digits };
}

function styleOf(canvas, series) {
  const style = getComputedStyle(canvas);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  const lines = series.map(({ key }) => [key, named(key)]);
  return { ...Object.fromEntries(lines), text: named("muted"), line: named("rule"), font: `11px ${style.fontFamily}` };
}
