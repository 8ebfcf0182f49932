/** The zoom lens: the same small place of every pane, enlarged, in a box that floats near the pointer. */

import { clamp, paneName } from "/names.js";

const ZOOM = { least: 2, most: 8 };
const CELL_PX = 190;
const CAPTION_PX = 22;
const EDGE_PX = 8;
const OFF_PX = 10;

/** Knows where it looks and how closely; draws on a canvas of its own. */
export class Lens {
  on = false;
  /** The place looked at, as shares of the picture's width and height. */
  point = { x: 0.5, y: 0.5 };
  /** The pane that the pointer is over. */
  pane = "";
  /** Whether the network had no time for the frame. */
  fallback = false;
  #zoom = 4;
  #canvas;
  #context;
  #font;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#font = getComputedStyle(canvas).fontFamily;
  }

  /** @param {number} steps */
  zoomBy(steps) {
    this.#zoom = clamp(this.#zoom + steps, ZOOM.least, ZOOM.most);
  }

  /** Takes the box away. */
  hide() {
    this.#canvas.hidden = true;
  }

  /**
   * Draws the box.
   * @param {HTMLCanvasElement} frame all panes, from top to bottom
   * @param {string[]} panes
   * @param {[number, number]} size of one pane
   * @param {{x: number, y: number, scale: number, width: number, height: number}} at the place on the stage, the size
   *   of a picture's pixel there, and the stage's size, all in CSS pixels
   * @returns {{x: number, y: number, w: number, h: number}} what part of the pane is seen, in its pixels
   */
  draw(frame, panes, size, at) {
    const cell = Math.floor(
      Math.min(CELL_PX, (at.width - 2 * EDGE_PX) / panes.length, (at.height - CAPTION_PX - 2 * EDGE_PX) * 0.6),
    );
    this.#fit(cell * panes.length, cell + CAPTION_PX);
    this.#float(cell * panes.length, cell + CAPTION_PX, at, (cell / this.#zoom / 2) * at.scale + OFF_PX);
    const region = this.#region(cell / this.#zoom, size);
    panes.forEach((pane, index) => this.#drawCell(frame, pane, { region, index, cell, top: index * size[1] }));
    this.#write(`${this.#zoom}×`, cell * panes.length - 6, "right", "#fff");
    return region;
  }

  #fit(width, height) {
    const density = devicePixelRatio;
    const canvas = this.#canvas;
    canvas.hidden = false;
    const [w, h] = [Math.round(width * density), Math.round(height * density)];
    if (canvas.width !== w || canvas.height !== h) {
      Object.assign(canvas, { width: w, height: h });
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    this.#context.setTransform(density, 0, 0, density, 0, 0);
    this.#context.fillStyle = "#16191d";
    this.#context.fillRect(0, 0, width, height);
  }

  /** Above or below the place, wherever there is more room, and never beyond the stage. */
  #float(width, height, at, off) {
    const y = at.y > at.height / 2 ? at.y - off - height : at.y + off;
    const left = clamp(at.x - width / 2, EDGE_PX, Math.max(EDGE_PX, at.width - width - EDGE_PX));
    const top = clamp(y, EDGE_PX, Math.max(EDGE_PX, at.height - height - EDGE_PX));
    this.#canvas.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  #region(side, [width, height]) {
    const [w, h] = [Math.min(side, width), Math.min(side, height)];
    return {
      x: clamp(this.point.x * width - w / 2, 0, width - w),
      y: clamp(this.point.y * height - h / 2, 0, height - h),
      w,
      h,
    };
  }

  #drawCell(frame, pane, { region, index, cell, top }) {
    const { x, y, w, h } = region;
    const context = this.#context;
    context.imageSmoothingEnabled = false;
    context.drawImage(frame, x, top + y, w, h, index * cell, CAPTION_PX, cell, (cell * h) / w);
    this.#write(paneName(pane, this.fallback), index * cell + 8, "left", "#fff");
    context.fillStyle = "#16191d";
    if (index) context.fillRect(index * cell - 1, 0, 2, cell + CAPTION_PX);
  }

  #write(text, x, align, colour) {
    const context = this.#context;
    context.font = `600 12px ${this.#font}`;
    context.textAlign = align;
    context.textBaseline = "middle";
    context.fillStyle = colour;
    context.fillText(text, x, CAPTION_PX / 2 + 1);
  }
}
