/** The picture: panes of one frame, either side of a divider or side by side, and the lens over them. */

import { Lens } from "/lens.js";
import { clamp, figure, paneName } from "/names.js";

const SMOOTH_UP_TO = 2;
const STEP = 0.01;
const LARGE_STEP = 0.1;
const TAG_ROOM_PX = 96;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Draws what it last took from the video, and again whenever something about the view changes. */
export class View {
  #stage;
  #canvas;
  #context;
  #divider;
  #tags;
  #frame = document.createElement("canvas");
  #frameContext = this.#frame.getContext("2d", { alpha: false });
  #width = 0;
  #height = 0;
  #panes = [];
  #wanted = { left: "lanczos", right: "ours" };
  #sides = { ...this.#wanted };
  #mode = "split";
  #place = 0.5;
  #focus = { x: 0.5, y: 0.5 };
  #taken = false;
  #asked = 0;
  #lens;

  /** @param {{stage: HTMLElement, canvas: HTMLCanvasElement, divider: HTMLElement, tags: HTMLElement,
   *           loupe: HTMLCanvasElement}} parts */
  constructor({ stage, canvas, divider, tags, loupe }) {
    this.#stage = stage;
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#divider = divider;
    this.#tags = tags;
    this.#lens = new Lens(loupe);
    this.#observe();
    this.#listenDivider();
    this.#listenPicture();
  }

  /**
   * Takes over the shape of a new stream.
   * @param {{width: number, height: number, panes: string[]}} stream
   * @returns {{left: string, right: string}} the sides as they are now
   */
  format({ width, height, panes }) {
    this.#width = width;
    this.#height = height;
    this.#panes = panes;
    this.#frame.width = width;
    this.#frame.height = height * panes.length;
    this.#taken = false;
    const { left, right } = this.#wanted; // Kept for a later stream that has them again.
    this.#sides.right = panes.includes(right) ? right : panes.at(-1);
    this.#sides.left = panes.includes(left) ? left : panes.find((pane) => pane !== this.#sides.right) ?? panes[0];
    this.redraw();
    return { ...this.#sides };
  }

  /** Copies the whole frame at once, so that all panes drawn from it, now and later, belong together. */
  take(video) {
    if (!this.#width) return;
    this.#frameContext.drawImage(video, 0, 0, this.#frame.width, this.#frame.height);
    this.#taken = true;
    this.#draw();
  }

  /** Draws again before the next repaint. */
  redraw() {
    this.#asked ||= requestAnimationFrame(() => this.#draw());
  }

  /** @param {"left" | "right"} side @param {string} pane */
  choose(side, pane) {
    this.#wanted[side] = pane;
    this.#sides[side] = pane;
    this.redraw();
  }

  /** @param {"split" | "columns"} mode */
  set mode(mode) {
    this.#mode = mode;
    this.#stage.dataset.mode = mode;
    this.redraw();
  }

  get mode() {
    return this.#mode;
  }

  /** @param {boolean} on */
  set lens(on) {
    this.#lens.on = on;
    this.#stage.toggleAttribute("data-lens", on);
    this.redraw();
  }

  get lens() {
    return this.#lens.on;
  }

  /** @param {number} by steps of the lens's zoom */
  zoom(by) {
    this.#lens.zoomBy(by);
    this.redraw();
  }

  /**
   * Moves the lens, or what is seen side by side, by an arrow key.
   * @returns {boolean} whether the key was one
   */
  arrow({ key, shiftKey }) {
    const direction = ARROWS[key];
    if (!direction || !(this.lens || this.#mode === "columns")) return false;
    const step = shiftKey ? LARGE_STEP : STEP;
    const point = this.lens ? this.#lens.point : this.#focus;
    point.x = clamp(point.x + direction[0] * step, 0, 1);
    point.y = clamp(point.y + direction[1] * step, 0, 1);
    this.redraw();
    return true;
  }

  /**
   * Writes the names and PSNRs on the picture.
   * @param {Record<string, number | null>} psnr
   * @param {boolean} fallback whether ours is Lanczos for once
   */
  label(psnr, fallback) {
    this.#lens.fallback = fallback;
    for (const tag of this.#tags.children) {
      const { pane } = tag.dataset;
      tag.firstChild.textContent = paneName(pane, fallback);
      tag.lastChild.textContent = Number.isFinite(psnr[pane]) ? figure(psnr[pane], "dB", 1) : "";
      tag.toggleAttribute("data-fallback", pane === "ours" && fallback);
    }
  }

  get #split() {
    return this.#mode === "split" && this.#panes.length > 1;
  }

  /** Where each pane goes: what of the canvas it may paint, and where its picture's origin lies there. */
  #parts() {
    const { width, height } = this.#canvas;
    return this.#split ? this.#splitParts(width, height) : this.#columnParts(width, height);
  }

  #splitParts(width, height) {
    const scale = Math.min(width / this.#width, height / this.#height);
    const [w, h] = [Math.round(this.#width * scale), Math.round(this.#height * scale)];
    const origin = { x: (width - w) >> 1, y: (height - h) >> 1 };
    const left = Math.round(w * this.#place);
    return [
      { pane: this.#sides.left, scale, origin, clip: { ...origin, w: left, h } },
      { pane: this.#sides.right, scale, origin, clip: { x: origin.x + left, y: origin.y, w: w - left, h } },
    ];
  }

  #columnParts(width, height) {
    const count = this.#panes.length;
    const gap = count > 1 ? Math.round(2 * this.#density) : 0;
    const w = (width - gap * (count - 1)) / count;
    const fit = count > 1 ? Math.max : Math.min; // One picture alone is shown whole.
    const scale = fit(w / this.#width, height / this.#height);
    return this.#panes.map((pane, index) => {
      const clip = { x: Math.round(index * (w + gap)), y: 0, w: Math.round(w), h: height };
      return { pane, scale, clip, origin: this.#centred(clip, scale) };
    });
  }

  #centred(clip, scale) {
    const along = (start, room, size, focus) =>
      size <= room ? start + (room - size) / 2 : clamp(start + room / 2 - focus * size, start + room - size, start);
    return {
      x: Math.round(along(clip.x, clip.w, this.#width * scale, this.#focus.x)),
      y: Math.round(along(clip.y, clip.h, this.#height * scale, this.#focus.y)),
    };
  }

  #draw() {
    cancelAnimationFrame(this.#asked);
    this.#asked = 0;
    const context = this.#context;
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (!this.#width) return;
    const parts = this.#parts();
    if (this.#taken) for (const part of parts) this.#drawPart(part);
    this.#placeTags(parts);
    this.#placeDivider(parts);
    this.#drawLens(parts);
  }

  #drawPart({ pane, scale, origin, clip }) {
    if (clip.w <= 0) return;
    const context = this.#context;
    context.save();
    context.beginPath();
    context.rect(clip.x, clip.y, clip.w, clip.h);
    context.clip();
    context.imageSmoothingEnabled = scale <= SMOOTH_UP_TO;
    const [w, h] = [this.#width, this.#height];
    const y = this.#panes.indexOf(pane) * h;
    context.drawImage(this.#frame, 0, y, w, h, origin.x, origin.y, w * scale, h * scale);
    context.restore();
  }

  get #density() {
    return this.#canvas.width / (this.#canvas.clientWidth || 1);
  }

  #drawLens(parts) {
    const lens = this.#lens;
    if (!lens.on || !this.#taken) return lens.hide();
    const { scale, origin, clip } = this.#partOfLens(parts);
    const reach = this.#split ? { x: 0, w: this.#canvas.width } : clip;
    const density = this.#density;
    const at = { x: origin.x + lens.point.x * this.#width * scale, y: origin.y + lens.point.y * this.#height * scale };
    const region = lens.draw(this.#frame, this.#panes, [this.#width, this.#height], {
      x: clamp(at.x, reach.x, reach.x + reach.w) / density,
      y: at.y / density,
      scale: scale / density,
      width: this.#canvas.clientWidth,
      height: this.#canvas.clientHeight,
    });
    for (const part of this.#split ? [{ origin, scale }] : parts) this.#drawRegion(part, region);
  }

  /** The pane that the pointer was over decides where the lens floats. */
  #partOfLens(parts) {
    return parts.find(({ pane }) => pane === this.#lens.pane) ?? parts[0];
  }

  #drawRegion({ origin, scale }, { x, y, w, h }) {
    const context = this.#context;
    const box = [origin.x + x * scale, origin.y + y * scale, w * scale, h * scale];
    context.lineWidth = 3 * this.#density;
    context.strokeStyle = "rgb(0 0 0 / 60%)";
    context.strokeRect(...box);
    context.lineWidth = this.#density;
    context.strokeStyle = "#fff";
    context.strokeRect(...box);
  }

  #placeTags(parts) {
    while (this.#tags.children.length > parts.length) this.#tags.lastChild.remove();
    while (this.#tags.children.length < parts.length) this.#tags.append(newTag());
    const density = this.#density;
    parts.forEach(({ pane, clip }, index) => {
      const tag = this.#tags.children[index];
      if (tag.dataset.pane !== pane) {
        tag.dataset.pane = pane;
        tag.firstChild.textContent = paneName(pane);
        tag.lastChild.textContent = "";
        tag.removeAttribute("data-fallback");
      }
      const toRight = this.#split && index === 1;
      const [left, width] = [clip.x / density, clip.w / density];
      tag.style.top = `${clip.y / density}px`;
      tag.style.left = toRight ? "auto" : `${left}px`;
      tag.style.right = toRight ? `${this.#canvas.clientWidth - left - width}px` : "auto";
      tag.style.maxWidth = `${Math.max(0, width)}px`;
      tag.hidden = width < TAG_ROOM_PX && this.#split;
    });
  }

  #placeDivider([left]) {
    const divider = this.#divider;
    divider.hidden = !this.#split;
    if (!this.#split) return;
    const percent = Math.round(this.#place * 100);
    divider.style.transform = `translateX(${(left.clip.x + left.clip.w) / this.#density}px)`;
    divider.style.top = `${left.clip.y / this.#density}px`;
    divider.style.height = `${left.clip.h / this.#density}px`;
    if (divider.getAttribute("aria-valuenow") === String(percent) && divider.dataset.sides === this.#sideNames) return;
    divider.dataset.sides = this.#sideNames;
    divider.setAttribute("aria-valuenow", percent);
    const [first, second] = [paneName(this.#sides.left), paneName(this.#sides.right)];
    divider.setAttribute("aria-valuetext", `${percent} % ${first}, ${100 - percent} % ${second}`);
  }

  get #sideNames() {
    return `${this.#sides.left} ${this.#sides.right}`;
  }

  #observe() {
    const resized = ([entry]) => {
      const exact = entry.devicePixelContentBoxSize?.[0];
      const { inlineSize, blockSize } = entry.contentBoxSize[0];
      this.#canvas.width = exact?.inlineSize ?? Math.round(inlineSize * devicePixelRatio);
      this.#canvas.height = exact?.blockSize ?? Math.round(blockSize * devicePixelRatio);
      this.#draw(); // Resizing emptied it.
    };
    const observer = new ResizeObserver(resized);
    try {
      observer.observe(this.#canvas, { box: "device-pixel-content-box" });
    } catch {
      observer.observe(this.#canvas); // Safari knows the plain box only.
    }
  }

  #listenDivider() {
    const divider = this.#divider;
    divider.addEventListener("pointerdown", (event) => {
      divider.setPointerCapture(event.pointerId);
      divider.focus({ focusVisible: false });
      event.preventDefault();
    });
    divider.addEventListener("pointermove", (event) => {
      if (divider.hasPointerCapture(event.pointerId)) this.#divideAt(event.clientX);
    });
    divider.addEventListener("keydown", (event) => {
      const place = this.#keyPlace(event);
      if (place === undefined) return;
      event.preventDefault();
      this.#divide(place);
    });
  }

  #keyPlace({ key, shiftKey }) {
    const step = shiftKey ? LARGE_STEP : STEP;
    return {
      ArrowLeft: this.#place - step,
      ArrowDown: this.#place - step,
      ArrowRight: this.#place + step,
      ArrowUp: this.#place + step,
      Home: 0,
      End: 1,
    }[key];
  }

  #divide(place) {
    this.#place = clamp(place, 0, 1);
    this.redraw();
  }

  #divideAt(clientX) {
    const scale = Math.min(this.#canvas.width / this.#width, this.#canvas.height / this.#height);
    const width = (this.#width * scale) / this.#density;
    const box = this.#canvas.getBoundingClientRect();
    this.#divide((clientX - box.left - (box.width - width) / 2) / width);
  }

  #listenPicture() {
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      if (this.lens) this.#lensTo(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.lens) this.#lensTo(event);
      else if (canvas.hasPointerCapture(event.pointerId)) this.#dragged(event);
    });
    canvas.addEventListener("click", (event) => {
      if (!this.lens && this.#split) this.#divideAt(event.clientX);
    });
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  #dragged({ clientX, movementX, movementY }) {
    if (!this.#width) return;
    if (this.#split) return this.#divideAt(clientX);
    const [part] = this.#parts();
    const move = (size, room, by, focus) => {
      const margin = Math.min(0.5, room / 2 / size); // Beyond it the picture's edge is reached.
      return clamp(focus - (by * this.#density) / size, margin, 1 - margin);
    };
    this.#focus.x = move(this.#width * part.scale, part.clip.w, movementX, this.#focus.x);
    this.#focus.y = move(this.#height * part.scale, part.clip.h, movementY, this.#focus.y);
    this.redraw();
  }

  #wheel(event) {
    if (!this.lens) return;
    event.preventDefault();
    this.zoom(-Math.sign(event.deltaY) * 0.5);
  }

  #lensTo({ clientX, clientY }) {
    if (!this.#width) return;
    const box = this.#canvas.getBoundingClientRect();
    const [x, y] = [(clientX - box.left) * this.#density, (clientY - box.top) * this.#density];
    const parts = this.#parts();
    const part = parts.find(({ clip }) => x >= clip.x && x < clip.x + clip.w) ?? parts.at(-1);
    this.#lens.pane = part.pane;
    this.#lens.point.x = clamp((x - part.origin.x) / part.scale / this.#width, 0, 1);
    this.#lens.point.y = clamp((y - part.origin.y) / part.scale / this.#height, 0, 1);
    this.redraw();
  }
}

function newTag() {
  const tag = document.createElement("p");
  tag.className = "tag";
  tag.append(document.createElement("b"), document.createElement("span"));
  return tag;
}
