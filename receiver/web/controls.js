/** Buttons, keys and captions of the player. */

const STEP = 5; // Seconds.
const HIDE_MS = 2500;

const icon = (path) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
const ICONS = {
  play: icon("M7 4v16l13-8z"),
  pause: icon("M6 4h4v16H6zM14 4h4v16h-4z"),
  sound: icon("M4 9v6h4l5 5V4L8 9zM16 8q3 4 0 8M18.5 5q6 7 0 14"),
  silence: icon("M4 9v6h4l5 5V4L8 9zM16 9l6 6M22 9l-6 6"),
  full: icon("M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"),
};

export const MARKUP = `
<div class="bar" part="bar" hidden>
  <button type="button" name="play" aria-label="Play (space)">${ICONS.play}</button>
  <input type="range" name="seek" min="0" max="1" step="any" value="0" aria-label="Position">
  <span class="time">0:00</span>
  <button type="button" name="mute" aria-label="Mute (M)">${ICONS.sound}</button>
  <button type="button" name="captions" aria-label="Captions (C)" aria-pressed="false" hidden>CC</button>
  <button type="button" name="full" aria-label="Full screen (F)">${ICONS.full}</button>
</div>`;

export const STYLE = `
.bar { position: absolute; inset: auto 0 0 0; display: flex; gap: .5rem; align-items: center; padding: .4rem .6rem;
  color: #fff; background: linear-gradient(transparent, rgb(0 0 0 / .75)); transition: opacity .2s; }
.bar[hidden] { display: none; }
.idle .bar { opacity: 0; }
.bar:focus-within { opacity: 1 !important; }
.bar button { font: inherit; color: inherit; background: none; border: 0; border-radius: 4px; min-width: 2.2rem;
  min-height: 2.2rem; cursor: pointer; }
.bar svg { display: block; width: 1.4rem; height: 1.4rem; margin: auto; fill: currentColor; stroke: currentColor;
  stroke-width: 1.5; }
.bar [name=full] svg { fill: none; stroke-width: 2; }
.bar button:hover, .bar button[aria-pressed=true] { background: rgb(255 255 255 / .2); }
.bar button:focus-visible, .bar input:focus-visible { outline: 2px solid #fff; }
.bar input { flex: 1; min-width: 3rem; accent-color: #fff; }
.time { font-variant-numeric: tabular-nums; font-size: .85rem; white-space: nowrap; }`;

/** Binds one `<video>` to the bar below it. */
export class Controls {
  #host;
  #video;
  #stage;
  #captions;
  #part;
  #timer = 0;

  /**
   * @param {HTMLElement} host takes the keys, and goes full screen
   * @param {ShadowRoot} root
   */
  constructor(host, root) {
    this.#host = host;
    this.#stage = root.querySelector(".stage");
    this.#video = root.querySelector("video");
    this.#captions = root.querySelector(".captions");
    this.#part = (name) => root.querySelector(`[name=${name}]`);
    const on = (target, names, what) => names.forEach((name) => target.addEventListener(name, what));
    on(this.#part("play"), ["click"], () => this.toggle());
    on(this.#part("mute"), ["click"], () => this.mute());
    on(this.#part("captions"), ["click"], () => this.caption());
    on(this.#part("full"), ["click"], () => this.fullScreen());
    on(this.#part("seek"), ["input"], ({ target }) => (this.#video.currentTime = Number(target.value)));
    on(this.#video, ["timeupdate", "durationchange", "play", "pause", "volumechange", "seeked"], () => this.#refresh());
    on(this.#video.textTracks, ["addtrack", "removetrack", "change"], () => this.#refresh());
    on(this.#stage, ["pointermove", "pointerdown"], () => this.#awake());
    on(root.querySelector(".picture"), ["click"], () => this.shown && this.toggle());
    on(host, ["keydown"], (event) => this.#key(event));
  }

  /** Whether there are buttons; keys and clicks work where there are. */
  get shown() {
    return !this.#stage.querySelector(".bar").hidden;
  }

  set shown(value) {
    this.#stage.querySelector(".bar").hidden = !value;
  }

  toggle() {
    if (this.#video.paused) this.#video.play().catch(() => {});
    else this.#video.pause();
  }

  mute() {
    this.#video.muted = !this.#video.muted;
  }

  /** The first captions on or off. They are drawn above the restored picture, which hides the browser's own. */
  caption() {
    const on = this.#captions.hidden;
    this.#captions.hidden = !on;
    for (const track of this.#video.textTracks) {
      track.mode = on ? "hidden" : "disabled"; // Which means: read, but not drawn by the browser.
      track.oncuechange = () => this.#cues(track);
    }
    this.#part("captions").setAttribute("aria-pressed", String(on));
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.#host.requestFullscreen) this.#host.requestFullscreen().catch(() => {});
    else this.#video.webkitEnterFullscreen?.();
  }

  #cues(track) {
    const texts = Array.from(track.activeCues ?? [], (cue) => cue.getCueAsHTML?.().textContent ?? cue.text);
    this.#captions.textContent = texts.join("\n");
  }

  #key(event) {
    const { key, ctrlKey, metaKey, altKey } = event;
    if (!this.shown || ctrlKey || metaKey || altKey) return;
    const inside = event.composedPath()[0];
    if (inside?.name && (key === " " || key === "Enter" || key.startsWith("Arrow"))) return; // A button's own keys.
    const video = this.#video;
    const keys = {
      " ": () => this.toggle(),
      k: () => this.toggle(),
      m: () => this.mute(),
      c: () => this.caption(),
      f: () => this.fullScreen(),
      ArrowLeft: () => (video.currentTime -= STEP),
      ArrowRight: () => (video.currentTime += STEP),
      ArrowUp: () => (video.volume = Math.min(1, video.volume + 0.1)),
      ArrowDown: () => (video.volume = Math.max(0, video.volume - 0.1)),
      Home: () => (video.currentTime = 0),
      End: () => (video.currentTime = video.duration || 0),
    };
    const act = keys[key.length === 1 ? key.toLowerCase() : key];
    if (!act) return;
    event.preventDefault();
    act();
    this.#awake();
  }

  #awake() {
    clearTimeout(this.#timer);
    this.#stage.classList.remove("idle");
    this.#timer = setTimeout(() => this.#stage.classList.toggle("idle", !this.#video.paused), HIDE_MS);
  }

  #refresh() {
    const { paused, muted, volume, duration, currentTime, textTracks } = this.#video;
    this.#part("play").innerHTML = paused ? ICONS.play : ICONS.pause;
    this.#part("play").setAttribute("aria-label", paused ? "Play (space)" : "Pause (space)");
    this.#part("mute").innerHTML = muted || !volume ? ICONS.silence : ICONS.sound;
    this.#part("captions").hidden = !textTracks.length;
    const seek = this.#part("seek");
    seek.max = String(Number.isFinite(duration) ? duration : 0);
    seek.value = String(currentTime);
    this.#stage.querySelector(".time").textContent = `${clock(currentTime)} / ${clock(duration)}`;
    if (paused) this.#stage.classList.remove("idle");
    else if (!this.#timer) this.#awake();
  }
}

function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–:––";
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
