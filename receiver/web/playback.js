/** Restored pictures in step with a `<video>` that plays the same stream: it is the clock, and has the sound. */

import { AccessUnits } from "./access_unit.js";
import { Decoder } from "./decoder.js";

const AHEAD = 8; // Decoded pictures that wait.
const RESTORED_AHEAD = 3;
const [JUDGED, FEWEST, ENOUGH_MS] = [12, 3, 1500]; // Pictures by which a machine is judged; fewer if they take long.
const EARLY = 0.004; // Seconds by which a picture may be shown before its time.
const MICROSECONDS = 1e6;

/** Decodes and restores what is next, and hands it over when it is due. */
export class Playback {
  #video;
  #track;
  #restorer;
  #stream;
  #handlers;
  #decoder;
  #units;
  #run = 0;
  #from = 0;
  #decoded = [];
  #spare = null;
  #restored = [];
  #busy = false;
  #shown = null;
  #wake = () => {};
  #times = [];
  #failed = false;

  /** Whether the weights that come with the stream are those of the network in use. */
  tuned = true;

  /**
   * @param {HTMLVideoElement} video
   * @param {import("./remote_track.js").RemoteTrack} track
   * @param {import("./restorer.js").Restorer} restorer
   * @param {import("./card.js").Card} stream
   * @param {object} options of `decoderOptions`
   * @param {{show: (frame: VideoFrame, head: object, ms: number) => void, skipped: (count: number) => void,
   *          note: (text: string) => void, late: (ms: number, lasting: number) => void,
   *          failed: (why: string) => void}} handlers
   */
  constructor(video, track, restorer, stream, options, handlers) {
    [this.#video, this.#track, this.#restorer, this.#stream] = [video, track, restorer, stream];
    this.#handlers = handlers;
    const failed = (why) => this.#fail(why);
    this.#decoder = new Decoder(options, { picture: (frame, head) => this.#arrived(frame, head), failed });
  }

  /** Goes on from where the video is: after a seek, or with another network. */
  start() {
    this.stop();
    this.#failed = false;
    this.#from = this.#video.currentTime;
    this.#units = new AccessUnits(this.#track.config.description);
    this.#decoder.start(this.#track.config);
    this.#feed(this.#run).catch((error) => this.#fail(`the file cannot be read on: ${error.message}`));
    this.#tick(this.#run);
  }

  /** Forgets what is under way. */
  stop() {
    this.#run += 1;
    this.#decoder.stop();
    for (const { frame } of [...this.#decoded.splice(0), ...this.#restored.splice(0)]) frame.close();
    this.#spare?.frame.close();
    this.#spare = null;
    this.#shown = null;
    this.#times = [];
    this.#wake();
  }

  get #playing() {
    return !(this.#video.paused || this.#video.seeking || this.#video.ended);
  }

  async #feed(run) {
    let [update, group] = [null, this.#run * 1e6];
    for await (const { data, time, duration, keyframe } of this.#track.packets(this.#from)) {
      if (run !== this.#run) return;
      const said = this.#units.read(data);
      if (keyframe) [update, group] = [said.update, group + 1];
      const qp = said.qp ?? this.#stream.qp;
      const index = Math.round(time * MICROSECONDS);
      this.#decoder.decode({ index, keyframe, time, end: time + duration, qp, update, group }, data);
      while (run === this.#run && this.#decoder.waiting + this.#decoded.length >= AHEAD) {
        await new Promise((resolve) => (this.#wake = resolve));
      }
    }
    if (run === this.#run) await this.#decoder.flush();
    if (run !== this.#run || !this.#spare) return;
    this.#decoded.unshift(this.#spare); // Nothing came after it.
    this.#spare = null;
    this.#go();
  }

  #arrived(frame, head) {
    this.#wake();
    this.#spare?.frame.close();
    this.#spare = null;
    if (head.end <= this.#from + EARLY / 2) {
      this.#spare = { frame, head };
      return;
    }
    this.#decoded.push({ frame, head });
    this.#go();
  }

  /** The next picture to restore, or null; those that come too late are let go. */
  #next() {
    const now = this.#video.currentTime;
    const lead = this.#playing ? (mean(this.#times) / 1000) * this.#video.playbackRate : 0;
    const due = now + (this.#restored.length ? 0 : lead);
    let index = this.#decoded.findIndex(({ head }) => head.end > due + EARLY / 2);
    if (index < 0) index = this.#decoded.length - 1;
    if (index > 0) {
      for (const { frame } of this.#decoded.splice(0, index)) frame.close();
      if (this.#playing) this.#handlers.skipped(index);
      this.#wake();
    }
    const next = this.#decoded[0];
    if (!next || this.#restored.length >= RESTORED_AHEAD) return null;
    if (!this.#playing && (this.#shown !== null || this.#restored.length) && next.head.time > now) return null;
    return this.#decoded.shift();
  }

  async #go() {
    if (this.#busy || this.#failed) return;
    const next = this.#next();
    if (!next) return;
    this.#busy = true;
    const run = this.#run;
    this.#wake();
    const { update, group, qp } = next.head;
    try {
      const weights = this.tuned ? { update, group } : { update: null, group: 0 };
      const { frame, ms, note } = await this.#restorer.restore(next.frame, { qp, ...weights });
      if (run !== this.#run) frame.close();
      else this.#took(frame, next.head, ms, note);
    } catch (error) {
      if (run === this.#run) this.#fail(error.message);
    }
    this.#busy = false;
    this.#go();
  }

  #took(frame, head, ms, note) {
    if (note) this.#handlers.note(note);
    this.#restored.push({ frame, head, ms });
    this.#draw();
    if (!this.#playing) return;
    this.#times = [...this.#times, ms].slice(-JUDGED);
    const lasting = (1000 * (head.end - head.time)) / this.#video.playbackRate;
    const took = mean(this.#times);
    const judged = this.#times.length >= (took * FEWEST >= ENOUGH_MS ? FEWEST : JUDGED);
    if (!judged || took <= lasting) return;
    this.#times = [];
    this.#handlers.late(took, lasting);
  }

  #tick(run) {
    if (run !== this.#run) return;
    this.#draw();
    this.#go();
    requestAnimationFrame(() => this.#tick(run));
  }

  /** The last one that is due; while the video stands still, the only one. */
  #draw() {
    const now = this.#video.currentTime + EARLY;
    let count = this.#restored.findLastIndex(({ head }) => head.time <= now) + 1;
    if (!count && this.#shown === null) count = Math.min(1, this.#restored.length);
    if (!count) return;
    const due = this.#restored.splice(0, count);
    const { frame, head, ms } = due.at(-1);
    this.#shown = head.index;
    this.#handlers.show(frame, head, ms);
    for (const each of due) each.frame.close();
  }

  #fail(why) {
    if (this.#failed) return;
    this.#failed = true;
    this.#handlers.failed(why);
  }
}

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
}
