/** Brings the parts of the page together: socket, player, view, figures, graphs, controls. */

import { Controls } from "/controls.js";
import { Figures } from "/figures.js";
import { Graph, keepDrawing } from "/graphs.js";
import { Link } from "/link.js";
import { figure, paneName } from "/names.js";
import { Player, whyNot } from "/player.js";
import { View } from "/view.js";

const NOTE_MS = 8000;
const LABEL_MS = 250;
const FRAMES_KEPT = 900;
const GRAPH_RATE = 30; // 900 samples are half a minute of so many pictures a second.
const SANE_LATENCY_MS = 60000; // More, or less than nothing, is another machine's clock.

const root = document.documentElement;
const part = (id) => document.getElementById(id);
const video = part("video");

const axis = (unit, least, zero = true) => ({ unit, least, zero });
const graphs = {
  bitrate: new Graph(
    part("graph-bitrate"),
    [{ key: "full", unit: "", dash: [5, 4] }, { key: "lanczos", unit: "" }, { key: "ours", unit: "" }],
    { left: axis("kb/s", 100) },
  ),
  psnr: new Graph(
    part("graph-psnr"),
    [{ key: "lanczos", unit: "", digits: 1 }, { key: "ours", unit: "", digits: 1 }],
    { left: axis("dB", 4, false) },
  ),
  latency: new Graph(
    part("graph-latency"),
    [{ key: "screen", unit: "" }, { key: "restored", unit: "", dash: [5, 4] }],
    { left: axis("ms", 100) },
  ),
  loss: new Graph(
    part("graph-loss"),
    [{ key: "fps", unit: "fps", right: true, dash: [5, 4] }, { key: "loss", unit: "%", digits: 1 }],
    { left: axis("%", 5), right: axis("fps", 30) },
  ),
};

const figures = new Figures();
const view = new View({
  stage: part("stage"),
  canvas: part("view"),
  divider: part("divider"),
  tags: part("tags"),
  loupe: part("loupe"),
});
const player = new Player(video, {
  picture: drawn,
  blocked: () => say("Playing needs a click here.", "Play", () => player.play()),
  playing: () => root.dataset.state !== "ended" && hush(),
  failed: (why) => say(why),
});
const link = new Link({ text: heard, binary: (bytes) => player.append(bytes), closed, retrying });
const controls = new Controls(part("controls"), (name, value) => link.set(name, value));

let stream = { rate: 25 };
let frames = [];
let shown = 0;
let frozen = false;
let labelled = 0;
let noteEnds = 0;
let last = {};

const listeners = { start, frame, state, note: ({ text }) => note(text), end: ended };

function heard(message) {
  listeners[message.type]?.(message);
}

function start(message) {
  stream = { ...message, rate: message.rate || 25 };
  frames = [];
  last = {};
  freeze(false);
  controls.offer(message.controls ?? [], message.networks ?? []);
  controls.enabled = true;
  offerFigures(message.figures ?? []);
  part("browser-link").hidden = !message.browser;
  offerPanes(message.panes, view.format(message));
  describe();
  const why = whyNot(message.mime);
  if (why) return fail(why);
  setState("connecting");
  say("Waiting for the first frame …");
  player.start(message.mime, stream.rate);
}

function fail(why) {
  player.stop();
  say(why);
}

function frame(message) {
  frames.push(message);
  if (frames.length > FRAMES_KEPT) frames.shift();
  const { ours = null, lanczos = null } = message.psnr ?? {};
  const measured = message.fallback ? { lanczos } : { ours, lanczos }; // Ours is what the network restored.
  figures.psnr(measured);
  if (message.index % Math.ceil(stream.rate / GRAPH_RATE) === 0) graphs.psnr.add(measured);
}

function state(message) {
  const { kbps = {}, fps = null, loss = null, delay_ms = null, settings = {} } = message;
  figures.state(message);
  graphs.bitrate.add({ ours: kbps.ours ?? null, lanczos: kbps.lanczos ?? null, full: kbps.full ?? null });
  graphs.latency.add({ restored: delay_ms });
  graphs.loss.add({ loss: loss === null ? null : loss * 100, fps });
  controls.show(settings);
  describe(settings);
}

function ended({ text }) {
  player.stop();
  setState("ended");
  controls.enabled = false;
  note(text);
  say(text, "Connect again", reconnect);
}

function reconnect() {
  setState("connecting");
  say("Connecting …");
  link.connect();
}

/** After the end nobody is there to come back to, unless the reader asks for it. */
function closed() {
  controls.enabled = false;
  figures.clear();
  player.stop();
  if (root.dataset.state === "ended") return false;
  setState("closed");
  return true;
}

function retrying(seconds) {
  const text = `No connection to the server. Trying again in ${seconds} s.`;
  note(text);
  say(text);
}

/** Draws the picture that the video element shows now, with what is known about it. */
function drawn(mediaTime) {
  if (frozen || root.dataset.state === "ended" || root.dataset.state === "closed") return;
  view.take(video);
  shown += 1;
  root.dataset.framesShown = shown;
  // Where autoplay is refused, seeking shows pictures too, but they do not go on.
  if (root.dataset.state !== "playing" && !video.paused) {
    setState("playing");
    hush();
  }
  const known = takeFrame(mediaTime);
  if (!known) return;
  root.dataset.index = known.index;
  measure(known);
  last = known;
  if (performance.now() - labelled > LABEL_MS) label();
}

/** Figures that change with each picture cannot be read, so this is done now and then. */
function label() {
  labelled = performance.now();
  view.label(last.psnr ?? {}, Boolean(last.fallback));
}

/** What was said about the picture at this time; what is older is dropped. */
function takeFrame(mediaTime) {
  const near = 0.5 / stream.rate;
  const gone = frames.findIndex(({ time }) => time >= mediaTime - near);
  frames.splice(0, gone < 0 ? frames.length : gone);
  return frames[0] && frames[0].time <= mediaTime + near ? frames[0] : null;
}

function measure({ index, captured }) {
  const ms = Date.now() - captured;
  const screen = ms >= 0 && ms <= SANE_LATENCY_MS ? ms : null;
  figures.latency(screen);
  if (index % Math.ceil(stream.rate / GRAPH_RATE) === 0) graphs.latency.add({ screen });
}

const LIVE = { connecting: "Connecting", playing: "Live", ended: "Ended", closed: "Offline" };

function setState(name) {
  root.dataset.state = name;
  part("live").textContent = LIVE[name];
}

function describe({ model, scale } = {}) {
  const { width, height, rate, figures: known = [] } = stream;
  const words = [`${width} × ${height}`];
  if (known.includes("rate")) words.push(figure(rate, "fps", rate % 1 ? 2 : 0));
  if (model) words.push(model);
  else if (scale) words.push(`scale ${scale}`);
  const text = words.join(" · ");
  if (part("stream").textContent !== text) part("stream").textContent = text;
}

function note(text) {
  part("status").textContent = text;
  clearTimeout(noteEnds);
  noteEnds = setTimeout(() => (part("status").textContent = ""), NOTE_MS);
}

/** Puts a message over the picture. */
function say(text, action = "", act = null) {
  const button = part("message-button");
  part("message-text").textContent = text;
  part("message").hidden = false;
  part("stage").toggleAttribute("data-message", true);
  button.hidden = !action;
  button.textContent = action;
  button.onclick = act;
}

function hush() {
  part("message").hidden = true;
  part("stage").toggleAttribute("data-message", false);
}

/** Shows what this server measures. */
function offerFigures(names) {
  for (const place of document.querySelectorAll("[data-figure]")) place.hidden = !names.includes(place.dataset.figure);
}

function offerPanes(panes, sides) {
  const several = panes.length > 1;
  part("sides").hidden = !several;
  part("modes").hidden = !several;
  for (const side of ["left", "right"]) {
    const select = part(side);
    select.replaceChildren(...panes.map((pane) => new Option(paneName(pane), pane)));
    select.value = sides[side];
  }
  part("view").setAttribute("aria-label", `Live video: ${panes.map(paneName).join(", ")}, the same frame of each`);
}

function setMode(mode) {
  view.mode = mode;
  for (const radio of part("modes").elements) radio.checked = radio.value === mode;
  part("sides").classList.toggle("idle", mode !== "split");
  for (const side of ["left", "right"]) part(side).disabled = mode !== "split";
}

function setLens(on) {
  view.lens = on;
  part("lens").setAttribute("aria-pressed", on);
}

function freeze(on) {
  frozen = on;
  if (on) label(); // The picture stays, so its figures must be its own.
  part("freeze").setAttribute("aria-pressed", on);
  part("frozen").hidden = !on;
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else part("stage").requestFullscreen?.();
}

function toggleHelp() {
  const help = part("help");
  if (help.open) help.close();
  else help.showModal();
}

const KEYS = {
  " ": () => freeze(!frozen),
  l: () => setLens(!view.lens),
  s: () => !part("modes").hidden && setMode(view.mode === "split" ? "columns" : "split"),
  f: fullScreen,
  "?": toggleHelp,
  "+": () => view.zoom(1),
  "=": () => view.zoom(1),
  "-": () => view.zoom(-1),
};

function pressed(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (target.closest("input, select, textarea")) return;
  if (key === " " && target.closest("button")) return; // There it presses the button.
  if (part("help").open && key !== "?") return;
  const known = KEYS[key.toLowerCase()];
  if (known) known();
  if (known || (target.closest("#view, #lens") && view.arrow(event))) event.preventDefault();
}

function listen() {
  addEventListener("keydown", pressed);
  for (const side of ["left", "right"]) {
    part(side).addEventListener("change", ({ target }) => view.choose(side, target.value));
  }
  part("modes").addEventListener("change", ({ target }) => setMode(target.value));
  part("lens").addEventListener("click", () => setLens(!view.lens));
  part("freeze").addEventListener("click", () => freeze(!frozen));
  part("full").addEventListener("click", fullScreen);
  part("keys").addEventListener("click", toggleHelp);
  part("full").hidden = !document.fullscreenEnabled;
}

listen();
setState("connecting");
controls.enabled = false;
keepDrawing(Object.values(graphs));
link.connect();
