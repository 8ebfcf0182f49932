/** Plays fragmented MP4 from memory through Media Source Extensions, close to the live end. */

const Source = window.ManagedMediaSource ?? window.MediaSource;
const BEHIND_S = 0.2; // Further behind than this it plays faster …
const NEAR_S = 0.1; // … until it is this near.
const FAR_S = 0.45; // Further behind than this it hurries more.
const SLACK_S = { step: 0.04, most: 0.1, decay: 0.998 }; // Added to both after it ran dry, for links that come in bursts.
const JUMP_S = 1; // Further behind than this it jumps.
const JUMP_EVERY_MS = 1500; // A machine that cannot keep up should still show something between jumps.
const KEEP_S = 10;
const QUEUE_LIMIT = 1500;
const TRIES = 6;
const HEALTHY_PICTURES = 100;

/**
 * Why a stream of this type cannot be shown, or null if it can.
 * @param {string} mime
 * @returns {string | null}
 */
export function whyNot(mime) {
  if (!Source) return "This browser cannot play live streams (it has no Media Source Extensions).";
  if (!Source.isTypeSupported(mime)) return `This browser cannot decode the stream (${mime}).`;
  return null;
}

/** Feeds one video element. */
export class Player {
  #video;
  #handlers;
  #mime = "";
  #rate = 25;
  #source = null;
  #buffer = null;
  #url = "";
  #init = null;
  #queue = [];
  #begun = false;
  #blocked = false;
  #asking = false;
  #catching = false;
  #slack = 0;
  #jumped = -Infinity;
  #failures = 0;
  #pictures = 0;
  #rebuilding = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {{picture: (mediaTime: number) => void, blocked: () => void, playing: () => void,
   *          failed: (why: string) => void}} handlers
   */
  constructor(video, handlers) {
    this.#video = video;
    this.#handlers = handlers;
    video.muted = true;
    if (window.ManagedMediaSource) video.disableRemotePlayback = true; // Safari opens it only then.
    video.addEventListener("error", () => this.#broken());
    video.addEventListener("waiting", () => (this.#slack = Math.min(this.#slack + SLACK_S.step, SLACK_S.most)));
    document.addEventListener("visibilitychange", () => this.#chase());
    this.#watch();
  }

  /**
   * Begins a new stream; the next bytes appended are its init segment.
   * @param {string} mime
   * @param {number} rate pictures a second
   */
  start(mime, rate) {
    this.#mime = mime;
    this.#rate = rate;
    this.#failures = 0;
    this.#init = null;
    this.#queue = [];
    this.#attach();
  }

  /** @param {ArrayBuffer} bytes the init segment or a fragment */
  append(bytes) {
    if (!this.#mime) return;
    this.#init ??= bytes;
    // Nothing takes the fragments of a tab that was never looked at. MSE waits for a keyframe after such a gap.
    if (this.#queue.length >= QUEUE_LIMIT) this.#queue = [this.#init];
    this.#queue.push(bytes);
    this.#feed();
  }

  /** Forgets the stream. */
  stop() {
    this.#mime = "";
    this.#init = null;
    this.#queue = [];
    clearTimeout(this.#rebuilding);
    this.#detach();
  }

  /** Plays; from a click it is allowed where autoplay was not. */
  async play() {
    if (this.#asking) return;
    this.#asking = true;
    try {
      await this.#video.play();
      this.#blocked = false;
      this.#handlers.playing();
    } catch (error) {
      if (error.name === "NotAllowedError" && !this.#blocked) {
        this.#blocked = true;
        this.#handlers.blocked();
      }
    }
    this.#asking = false;
  }

  #attach() {
    clearTimeout(this.#rebuilding);
    this.#detach();
    const source = new Source();
    this.#source = source;
    this.#begun = false;
    this.#pictures = 0;
    this.#url = URL.createObjectURL(source);
    source.addEventListener("sourceopen", () => this.#opened(source), { once: true });
    this.#video.src = this.#url;
  }

  #detach() {
    this.#release();
    this.#buffer = null;
    if (!this.#source) return;
    this.#source = null;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #release() {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = "";
  }

  #opened(source) {
    if (source !== this.#source) return;
    this.#release();
    this.#buffer = source.addSourceBuffer(this.#mime);
    const buffer = this.#buffer;
    buffer.addEventListener("updateend", () => buffer === this.#buffer && this.#updated());
    this.#feed();
  }

  #updated() {
    if (this.#source.readyState !== "open") return;
    this.#chase();
    this.#trim();
    this.#feed();
  }

  #feed() {
    if (!this.#buffer || this.#buffer.updating || !this.#queue.length || this.#video.error) return;
    const bytes = joined(this.#queue);
    this.#queue = [];
    try {
      this.#buffer.appendBuffer(bytes);
    } catch (error) {
      this.#queue = [bytes];
      if (error.name !== "QuotaExceededError" || !this.#drop(this.#video.currentTime - 1)) this.#broken();
    }
  }

  /** Throws away what lies before `end`; says whether there was anything. */
  #drop(end) {
    const { buffered, updating } = this.#buffer;
    if (updating || !buffered.length || buffered.start(0) >= end) return false;
    this.#buffer.remove(0, end);
    return true;
  }

  #trim() {
    const { buffered } = this.#buffer;
    if (!buffered.length) return;
    const end = buffered.end(buffered.length - 1);
    // A little more than asked, so that this happens about once a second and not with each picture.
    if (end - buffered.start(0) > KEEP_S) this.#drop(end - KEEP_S + 1);
  }

  /** Keeps the place of playing near the live end. */
  #chase() {
    const { buffered, currentTime } = this.#video;
    if (!buffered.length || document.hidden) return;
    const begin = buffered.start(buffered.length - 1);
    const end = buffered.end(buffered.length - 1);
    if (!this.#begun || currentTime < begin) this.#seek(this.#begun ? Math.max(begin, end - NEAR_S) : begin);
    else if (end - currentTime > JUMP_S && performance.now() - this.#jumped > JUMP_EVERY_MS) this.#seek(end - NEAR_S);
    else this.#hurry(end - currentTime);
    if (this.#video.paused && !this.#blocked) this.play();
  }

  #seek(time) {
    if (this.#video.seeking) return;
    this.#begun = true;
    this.#jumped = performance.now();
    this.#video.currentTime = time;
  }

  #hurry(behind) {
    this.#slack *= SLACK_S.decay;
    if (behind > BEHIND_S + this.#slack) this.#catching = true;
    if (behind < NEAR_S + this.#slack) this.#catching = false;
    const speed = !this.#catching ? 1 : behind > FAR_S ? 1.25 : 1.1;
    if (this.#video.playbackRate !== speed) this.#video.playbackRate = speed;
  }

  /** After a decoding error: the same stream in a new media source, from its next keyframe. */
  #broken() {
    if (!this.#source || !this.#mime) return;
    this.#failures += 1;
    this.#queue = this.#init ? [this.#init] : [];
    this.#detach();
    if (this.#failures > TRIES) {
      this.#mime = "";
      this.#handlers.failed("The browser could not decode the stream. Load the page again to try once more.");
      return;
    }
    this.#rebuilding = setTimeout(() => this.#attach(), 100 * 2 ** this.#failures);
  }

  #watch() {
    const video = this.#video;
    if (video.requestVideoFrameCallback) {
      const next = (_, { mediaTime }) => {
        this.#shown(mediaTime);
        video.requestVideoFrameCallback(next);
      };
      video.requestVideoFrameCallback(next);
      return;
    }
    let last = -1;
    const look = () => {
      if (video.readyState >= 2 && video.currentTime !== last) {
        last = video.currentTime;
        this.#shown(last - 0.5 / this.#rate); // The middle of the picture's time, for want of its beginning.
      }
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }

  #shown(mediaTime) {
    this.#pictures += 1;
    if (this.#pictures === HEALTHY_PICTURES) this.#failures = 0;
    this.#handlers.picture(mediaTime);
  }
}

function joined(parts) {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part instanceof Uint8Array ? part : new Uint8Array(part), at);
    at += part.byteLength;
  }
  return all;
}
