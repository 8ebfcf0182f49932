/**
 * `<irn-video src="clip.mp4 or master.m3u8" controls>`: plays what irn-send made, restored at full size; where that cannot be done it
 * is a plain `<video>`, and says why.
 *
 * Attributes beside those of `<video>` (src, controls, loop, muted, autoplay, poster):
 *   networks  address of the list of networks (`irn-models export --web`); networks/networks.json if it says nothing
 *   runtime   folder of onnxruntime-web; what the page's import map has under `onnxruntime-web/` if it says nothing
 *   split     the part of the width, 0 to 1, left of which the plain picture is seen
 *   late      `keep`: restore what can be, even where a picture takes longer than it lasts
 *   plain     do not restore
 *   patience  seconds for which a server may send nothing; 20 if it says nothing
 *   on        `cpu`: without the graphics card; `any`: with one that is emulated too
 *
 * Events: `change`, when `state` or `why` changes; `picture`, with each restored picture that is shown
 * ({time, ms, skipped}).
 */

import { cardOf } from "./card.js";
import { Controls, MARKUP, STYLE } from "./controls.js";
import { decoderOptions } from "./decoder.js";
import { PATIENCE_MS } from "./fetching.js";
import { Networks } from "./networks.js";
import { cropped, draw, planesOf } from "./planes.js";
import { Playback } from "./playback.js";
import { RemoteTrack } from "./remote_track.js";
import { Restorer } from "./restorer.js";
import { attached, attachedPlainly } from "./sources.js";

const PASSED = ["loop", "muted", "autoplay", "poster", "crossorigin", "playsinline", "preload"];
const LARGEST = 1 << 25; // Samples of a restored picture.

const TEMPLATE = `
<style>
:host { display: block; position: relative; background: #000; color: #fff; overflow: hidden;
  font: 1rem/1.4 system-ui, sans-serif; }
:host(:focus-visible) { outline: 2px solid Highlight; }
.stage, .picture { position: relative; width: 100%; height: 100%; }
video, canvas { display: block; width: 100%; height: 100%; object-fit: contain; }
canvas { position: absolute; inset: 0; }
canvas[hidden], .badge:empty, .captions[hidden], .captions:empty { display: none; }
.badge { position: absolute; top: .5rem; right: .5rem; max-width: calc(100% - 1rem); padding: .15rem .5rem;
  border-radius: 4px; background: rgb(0 0 0 / .6); font-size: .75rem; }
.captions { position: absolute; left: 5%; right: 5%; bottom: 3.6rem; text-align: center; white-space: pre-line;
  pointer-events: none; text-shadow: 0 0 4px #000, 0 0 2px #000; }
${STYLE}
</style>
<div class="stage" part="stage">
  <div class="picture"><video part="video" playsinline></video><canvas part="canvas" hidden></canvas></div>
  <div class="captions" part="captions" hidden></div>
  <div class="badge" part="badge" role="status"></div>
  ${MARKUP}
</div>`;

/** See above. */
export class IrnVideo extends HTMLElement {
  static observedAttributes = ["src", "controls", "split", "plain", "networks", "runtime", "on", "look", ...PASSED];

  /** `loading`, `restored` or `plain`. */
  state = "loading";
  /** Why it is plain, or what it is restored with. */
  why = "";

  #root = this.attachShadow({ mode: "open" });
  #video;
  #canvas;
  #controls;
  #loading = null;
  #opened = null;
  #wanted = [];
  #skipped = 0;

  constructor() {
    super();
    this.#root.innerHTML = TEMPLATE;
    this.#video = this.#root.querySelector("video");
    this.#canvas = this.#root.querySelector("canvas");
    this.#controls = new Controls(this, this.#root);
    this.#video.addEventListener("seeking", () => this.#opened?.active && this.#begin(this.#opened));
    this.#video.addEventListener("pause", () => this.#opened?.slow && this.#still(this.#opened));
    this.#video.addEventListener("play", () => this.#opened?.slow && this.#plain(this.#opened, this.#opened.slow));
    this.#video.addEventListener("error", () => this.#plain(this.#opened, `this browser cannot play it: ${this.#trouble()}`));
  }

  connectedCallback() {
    if (!this.hasAttribute("tabindex")) this.tabIndex = 0;
    for (const track of this.querySelectorAll("track")) this.#video.append(track.cloneNode());
    this.#reload();
  }

  disconnectedCallback() {
    this.#close();
    this.#loading?.abort();
  }

  attributeChangedCallback(name, _, value) {
    if (name === "controls") this.#controls.shown = value !== null;
    else if (name === "split") this.#divide(Number(value ?? 0));
    else if (PASSED.includes(name)) this.#pass(name, value);
    else if (this.isConnected) this.#reload();
  }

  /** The `<video>` that is the clock and has the sound. */
  get video() {
    return this.#video;
  }

  /**
   * The planes of the picture that is restored next, for those who measure.
   * @returns {Promise<{time: number, planes: import("./planes.js").Planes}>}
   */
  planes() {
    return new Promise((resolve) => this.#wanted.push(resolve));
  }

  #pass(name, value) {
    if (value === null) this.#video.removeAttribute(name);
    else this.#video.setAttribute(name, value);
    if (name === "muted") this.#video.muted = value !== null;
  }

  #divide(part) {
    const hidden = Math.min(1, Math.max(0, part || 0)) * 100;
    this.#canvas.style.clipPath = hidden ? `inset(0 0 0 ${hidden}%)` : "";
  }

  #say(state, why) {
    if (state === this.state && why === this.why) return;
    this.state = state;
    this.why = why;
    this.#canvas.hidden = state !== "restored" || !this.#opened?.drawn;
    const named = { restored: "Restored", plain: "Plain", loading: "Plain, for now" }[state];
    this.#root.querySelector(".badge").textContent = why ? `${named}: ${why}` : named;
    this.dispatchEvent(new Event("change"));
  }

  #trouble() {
    return this.#video.error?.message || "an error";
  }

  #close() {
    this.#opened?.playback?.stop();
    this.#opened?.restorer?.stop();
    this.#opened?.track?.close();
    this.#opened?.attached?.close();
    this.#opened = null;
  }

  /** Once, however many attributes change. */
  #reload() {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    queueMicrotask(() => loading.signal.aborted || this.#load(loading));
  }

  async #load(loading) {
    this.#close();
    const address = this.getAttribute("src");
    if (!address) return;
    this.#say("loading", "");
    const opened = { active: false, drawn: false };
    this.#opened = opened;
    try {
      await this.#open(opened, new URL(address, document.baseURI).href, loading.signal);
    } catch (error) {
      if (!loading.signal.aborted) this.#plain(opened, error.message);
    }
  }

  /** Throws what keeps it from being restored. */
  async #open(opened, address, signal) {
    const held = (what) => {
      if (!signal.aborted) return what;
      what?.close?.();
      throw signal.reason;
    };
    const why = this.hasAttribute("plain") ? "restoring is switched off" : missing();
    if (why) {
      opened.attached = held(await attachedPlainly(this.#video, address, signal));
      throw new Error(why);
    }
    const patience = this.hasAttribute("patience") ? 1000 * Number(this.getAttribute("patience")) : PATIENCE_MS;
    opened.attached = held(await attached(this.#video, address, patience, signal));
    const list = new URL(this.getAttribute("networks") ?? "networks/networks.json", document.baseURI).href;
    const networks = Networks.at(list, patience);
    const known = await networks.then((found) => found.known).catch(() => []); // What is wrong is said below.
    opened.track = held(await RemoteTrack.open(opened.attached.source, patience, known));
    if (!opened.track.card) throw new Error("an ordinary video, not made by irn-send");
    const card = await cardOf(opened.track.card);
    check(card, opened.track);
    const options = await decoderOptions(opened.track.config.codec);
    if (!options) throw new Error("this browser cannot decode it for pages");
    opened.networks = held(await networks);
    opened.ladder = opened.networks.ladder(card.model, card.digest, this.getAttribute("look") ?? card.look ?? "");
    if (!opened.ladder.length) throw new Error(`the server has no network ${card.model}`);
    opened.card = card;
    opened.restorer = new Restorer({ folder: this.#runtime(), on: this.getAttribute("on") ?? "gpu" });
    opened.playback = new Playback(this.#video, opened.track, opened.restorer, card, options, this.#handlers(opened));
    [this.#canvas.width, this.#canvas.height] = [card.width, card.height];
    await this.#restore(opened, "");
  }

  /** With the first network of those that are left. */
  async #restore(opened, because) {
    const [name] = opened.ladder;
    const { provider } = await opened.restorer.start(await opened.networks.files(name), opened.card);
    if (opened !== this.#opened) return;
    opened.playback.tuned = name === opened.card.model; // Weights that were tuned for one network fit no other.
    opened.attached.keep(opened.track);
    this.#begin(opened);
    this.#say("restored", [`${name}, ${provider}`, because].filter(Boolean).join("; "));
  }

  /** From where the video is; until a picture is restored the plain one is seen. */
  #begin(opened) {
    opened.active = true;
    opened.drawn = false;
    this.#canvas.hidden = true;
    opened.playback.start();
  }

  /** Where it is too slow for playing there is time while the video stands still. */
  #still(opened) {
    this.#begin(opened);
    this.#say("restored", `this picture, while the video stands still; ${opened.slow}`);
  }

  #plain(opened, why) {
    if (!opened || opened !== this.#opened || this.state === "plain") return; // The first reason is the reason.
    opened.active = false;
    opened.playback?.stop();
    opened.attached?.free();
    this.#say("plain", why);
  }

  #handlers(opened) {
    return {
      show: (frame, head, ms) => this.#show(opened, frame, head, ms),
      skipped: (count) => (this.#skipped += count),
      note: (text) => console.debug(`irn-video: ${text}; the general network is used`),
      late: (ms, lasting) => this.#late(opened, ms, lasting),
      failed: (why) => this.#plain(opened, why),
    };
  }

  #show(opened, frame, head, ms) {
    if (opened !== this.#opened || !opened.active) return;
    draw((opened.context ??= this.#canvas.getContext("2d", { alpha: false })), frame);
    opened.drawn = true;
    this.#canvas.hidden = false;
    for (const resolve of this.#wanted.splice(0)) this.#give(resolve, frame.clone(), head, opened.card);
    this.dispatchEvent(new CustomEvent("picture", { detail: { time: head.time, ms, skipped: this.#skipped } }));
  }

  async #give(resolve, frame, { time }, { width, height }) {
    const planes = await planesOf(frame, frame.codedWidth, frame.codedHeight);
    frame.close();
    resolve({ time, planes: cropped(planes, width, height) });
  }

  /** A cheaper network, then plain scaling. */
  #late(opened, ms, lasting) {
    if (this.getAttribute("late") === "keep") return;
    const because = `a picture takes ${ms.toFixed(0)} ms to restore and lasts ${lasting.toFixed(0)} ms`;
    const [name] = opened.ladder.splice(0, 1);
    this.#plain(opened, because);
    if (!opened.ladder.length) opened.slow = because;
    else {
      this.#restore(opened, `with ${name} ${because}`).catch((error) => this.#plain(opened, error.message));
    }
  }

  #runtime() {
    const named = this.getAttribute("runtime");
    return named === null ? import.meta.resolve("onnxruntime-web/") : new URL(named, document.baseURI).href;
  }
}

/** What is missing for restoring, in words; empty if nothing is. */
function missing() {
  if (!isSecureContext) return "browsers decode video for pages only at localhost or over https";
  if (!("VideoDecoder" in window)) return "this browser has no WebCodecs, which newer ones have";
  return "";
}

function check({ lrWidth, lrHeight, width, height }, track) {
  if (track.width !== lrWidth || track.height !== lrHeight) {
    throw new Error(`the card is of pictures of ${lrWidth}×${lrHeight}, these are ${track.width}×${track.height}`);
  }
  if (width * height > LARGEST) throw new Error(`pictures of ${width}×${height} are too large for this player`);
}

customElements.define("irn-video", IrnVideo);
