// How the two versions are seen: side by side or in one place, whole or pixel by pixel, both always the same part.

const ZOOMS = ["fit", "1", "2"];
const TAP = 4; // px that a finger may move and still have tapped
const PAN = 0.1; // of what is seen, by a key

export class View {
  #stage;
  #panes;
  #sheet = null;
  #trial = null;
  #letter = "a"; // what is seen in one place
  #reference = false;
  #center = { x: 0.5, y: 0.5 };

  arrangement = "sides";
  zoom = "fit";

  constructor(stage) {
    this.#stage = stage;
    this.#panes = [...stage.querySelectorAll(".pane")].map((element) => {
      const canvas = element.querySelector("canvas");
      return { element, canvas, context: canvas.getContext("2d", { alpha: false }), tag: element.querySelector("figcaption") };
    });
    const sizes = new ResizeObserver((entries) => {
      for (const entry of entries) this.#resize(entry);
      this.#draw();
    });
    for (const { canvas } of this.#panes) {
      try {
        sizes.observe(canvas, { box: "device-pixel-content-box" });
      } catch {
        sizes.observe(canvas); // Safari does not know pixels of the screen here
      }
    }
    stage.addEventListener("pointerdown", (event) => this.#drag(event));
  }

  /** Another trial: the picture in the middle, A first. */
  begin(trial) {
    this.#trial = trial;
    this.#sheet = null;
    this.#letter = "a";
    this.#reference = false;
    this.#center = { x: 0.5, y: 0.5 };
    this.#stage.style.setProperty("--aspect", trial.width / trial.height);
    this.#draw();
  }

  show(sheet) {
    this.#sheet = sheet;
    this.#draw();
  }

  arrange(how) {
    this.arrangement = how;
    this.#stage.dataset.view = how;
    this.#draw();
  }

  /** A to B and back; side by side it goes to one place first. */
  flip() {
    if (this.arrangement === "sides") this.arrange("place");
    else this.#letter = this.#letter === "a" ? "b" : "a";
    this.#draw();
  }

  holdReference(held) {
    this.#reference = held && this.#trial?.reference != null;
    this.#draw();
  }

  zoomTo(zoom) {
    this.zoom = zoom;
    this.#draw();
  }

  zoomOn() {
    this.zoomTo(ZOOMS[(ZOOMS.indexOf(this.zoom) + 1) % ZOOMS.length]);
  }

  pan(right, down) {
    const { width, height } = this.#trial;
    const seen = this.#seen(this.#panes[0].canvas);
    this.#move((right * PAN * seen.width) / width, (down * PAN * seen.height) / height);
  }

  #resize({ target, devicePixelContentBoxSize: exact, contentRect }) {
    target.width = exact ? exact[0].inlineSize : Math.round(contentRect.width * devicePixelRatio);
    target.height = exact ? exact[0].blockSize : Math.round(contentRect.height * devicePixelRatio);
  }

  #scale(canvas) {
    const { width, height } = this.#trial;
    return this.zoom === "fit" ? Math.min(canvas.width / width, canvas.height / height) : Number(this.zoom);
  }

  /** The part of the picture that a canvas shows, in pixels of the video. */
  #seen(canvas) {
    const { width, height } = this.#trial;
    const scale = this.#scale(canvas);
    const seen = { width: Math.min(width, canvas.width / scale), height: Math.min(height, canvas.height / scale) };
    const place = (middle, size, part) => Math.max(0, Math.min(size - part, middle * size - part / 2));
    let x = place(this.#center.x, width, seen.width);
    let y = place(this.#center.y, height, seen.height);
    if (this.zoom !== "fit") [x, y] = [Math.floor(x), Math.floor(y)];
    return { ...seen, x, y, scale };
  }

  #draw() {
    if (!this.#trial) return;
    for (const { element, canvas, context, tag } of this.#panes) {
      const letter = this.arrangement === "place" ? this.#letter : element.dataset.letter;
      tag.textContent = this.#reference ? "Source" : letter.toUpperCase();
      tag.dataset.shows = this.#reference ? "reference" : letter;
      canvas.setAttribute("aria-label", tag.textContent);
      element.toggleAttribute("data-movable", this.zoom !== "fit");
      if (!canvas.width || !canvas.height) continue;
      context.fillStyle = "#000";
      context.fillRect(0, 0, canvas.width, canvas.height);
      if (this.#sheet) this.#drawPart(canvas, context, this.#trial[this.#reference ? "reference" : letter]);
    }
  }

  #drawPart(canvas, context, place) {
    const { x, y, width, height, scale } = this.#seen(canvas);
    const [across, down] = [width * scale, height * scale];
    const [left, top] = [Math.round((canvas.width - across) / 2), Math.round((canvas.height - down) / 2)];
    context.imageSmoothingEnabled = !Number.isInteger(scale);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#sheet, x, y + place * this.#trial.stride, width, height, left, top, across, down);
  }

  #move(right, down) {
    const { width, height } = this.#trial;
    const seen = this.#seen(this.#panes[0].canvas);
    const within = (place, part) => Math.max(part / 2, Math.min(1 - part / 2, place));
    this.#center.x = within(this.#center.x + right, seen.width / width);
    this.#center.y = within(this.#center.y + down, seen.height / height);
    this.#draw();
  }

  /** Dragging moves both pictures; a tap in one place goes from A to B. */
  #drag(event) {
    const canvas = event.target.closest("canvas");
    if (!canvas || event.button !== 0) return;
    const from = { x: event.clientX, y: event.clientY };
    let last = from;
    let far = false;
    const { width, height } = this.#trial;
    const moved = (now) => {
      far ||= Math.hypot(now.clientX - from.x, now.clientY - from.y) > TAP;
      const per = canvas.width / canvas.clientWidth / this.#scale(canvas);
      if (far) this.#move(((last.x - now.clientX) * per) / width, ((last.y - now.clientY) * per) / height);
      last = { x: now.clientX, y: now.clientY };
    };
    const ended = ({ type }) => {
      canvas.removeEventListener("pointermove", moved);
      if (type === "pointerup" && !far && this.arrangement === "place") this.flip();
    };
    canvas.setPointerCapture(event.pointerId);
    canvas.addEventListener("pointermove", moved);
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, ended, { once: true });
  }
}
