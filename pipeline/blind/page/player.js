// One video has all versions of a clip, one below the other, so they cannot fall out of step. Each of its frames is
// taken once, and both versions are drawn from what was taken.

const FOLLOWS = "requestVideoFrameCallback" in HTMLVideoElement.prototype;

export class Player {
  #video;
  #shown;
  #sheet = document.createElement("canvas");
  #context = this.#sheet.getContext("2d", { alpha: false });
  #trial = null;
  #frame = -1;

  /** `shown(sheet, frame)` is called with each new frame: a canvas with all versions, and its index. */
  constructor(video, shown) {
    this.#video = video;
    this.#shown = shown;
    if (FOLLOWS) this.#follow();
    else this.#poll();
  }

  get paused() {
    return this.#video.paused;
  }

  /** Play from the beginning, on and on; resolves with the first frame. */
  async load(source, trial) {
    this.#trial = null;
    this.#frame = -1;
    const video = this.#video;
    video.src = source;
    await new Promise((done, fail) => {
      video.onloadeddata = done;
      video.onerror = () => fail(new Error("This browser cannot play H.264."));
    });
    this.#sheet.width = video.videoWidth;
    this.#sheet.height = video.videoHeight;
    this.#trial = trial;
    this.#take(video.currentTime);
    await video.play();
  }

  stop() {
    this.#trial = null;
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  toggle() {
    if (this.#video.paused) this.#video.play();
    else this.#video.pause();
  }

  /** So many frames on, while it is paused; round and round. */
  step(by) {
    const { frames, rate } = this.#trial;
    this.#video.currentTime = ((((this.#frame + by) % frames) + frames) % frames + 0.5) / rate;
  }

  #follow() {
    this.#video.requestVideoFrameCallback((_, { mediaTime }) => {
      this.#take(mediaTime);
      this.#follow();
    });
  }

  /** Where browsers do not say when there is a new frame: the clock tells, and each frame is taken anew. */
  #poll() {
    this.#take(this.#video.currentTime);
    requestAnimationFrame(() => this.#poll());
  }

  #take(seconds) {
    if (!this.#trial) return;
    const { frames, rate } = this.#trial;
    const place = seconds * rate;
    this.#frame = Math.min(frames - 1, FOLLOWS ? Math.round(place) : Math.floor(place + 0.01));
    this.#context.drawImage(this.#video, 0, 0);
    this.#shown(this.#sheet, this.#frame);
  }
}
