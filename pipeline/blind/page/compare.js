// The comparison: which trial is shown, what is chosen, and what the keys and buttons do.

import { Player } from "/player.js";
import { showScores } from "/scores.js";
import { View } from "/view.js";

const BETWEEN = 350; // ms of grey between two trials, so that they are told apart
const STATES = ["welcome", "asking", "results", "closed"];

const find = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

const view = new View(find("stage"));
const player = new Player(find("video"), (sheet, frame) => {
  view.show(sheet);
  find("frame").textContent = `${frame + 1} / ${trials[index].frames}`;
  document.documentElement.dataset.frame = frame;
});

let about = null;
let session = "";
let trials = [];
let given = [];
let index = 0;
let since = 0;
const clips = new Map();

/** What the server says; a body is posted. */
async function ask(path, body) {
  let response;
  try {
    const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    response = await fetch(path, body && post);
  } catch (error) {
    enter("closed");
    throw error;
  }
  if (!response.ok) throw new Error(await response.text());
  return response;
}

const askFor = async (path, body) => (await ask(path, body)).json();

/** The whole clip as a local address, so that it plays, loops and steps without waiting. */
function clip(path) {
  if (!clips.has(path)) {
    const loading = ask(path).then(async (response) => URL.createObjectURL(await response.blob()));
    loading.catch(() => clips.delete(path));
    clips.set(path, loading);
  }
  return clips.get(path);
}

function forgetOthers(...kept) {
  for (const [path, loading] of clips) {
    if (!kept.includes(path)) {
      clips.delete(path);
      loading.then(URL.revokeObjectURL, () => {});
    }
  }
}

function enter(state) {
  document.documentElement.dataset.state = state;
  for (const name of STATES) find(name).hidden = name !== state;
}

/** Cover the two versions; nothing can be chosen meanwhile. */
function cover(text, again = false) {
  find("veil").hidden = false;
  find("message").textContent = text;
  find("again").hidden = !again;
  for (const button of all(".choice")) button.disabled = true;
  delete document.documentElement.dataset.ready;
}

async function show(next) {
  index = next;
  const trial = trials[index];
  find("count").textContent = `${index + 1} of ${trials.length}`;
  find("bar").max = trials.length;
  find("bar").value = index;
  find("back").disabled = index === 0;
  find("note").textContent = given[index] ? `You have chosen ${given[index].toUpperCase()}; choose again.` : "";
  cover("Preparing the clip …");
  document.documentElement.dataset.trial = index;
  try {
    const [source] = await Promise.all([clip(trial.video), wait(BETWEEN)]);
    view.begin(trial);
    await player.load(source, trial);
  } catch (error) {
    cover(error.message, true);
    return;
  }
  for (const button of all(".choice")) button.disabled = false;
  mark(null);
  find("veil").hidden = true;
  since = performance.now();
  document.documentElement.dataset.ready = "";
  const ahead = trials[index + 1]?.video;
  forgetOthers(trial.video, ahead);
  if (ahead) clip(ahead).catch(() => {}); // it is tried again when it is shown
}

const mark = (letter) => all(".choice").forEach((b) => b.toggleAttribute("data-chosen", b.dataset.choice === letter));

async function choose(letter) {
  if (!("ready" in document.documentElement.dataset)) return;
  mark(letter);
  cover("");
  const seconds = (performance.now() - since) / 1000;
  let complete;
  try {
    ({ complete } = await askFor("/answer", { session, trial: index, choice: letter, seconds }));
  } catch (error) {
    cover(error.message, true);
    return;
  }
  given[index] = letter;
  if (complete) await finish();
  else await show(index + 1);
}

async function finish() {
  player.stop();
  const { questions } = await askFor("/scores", { session });
  showScores(find("scores"), questions[0]);
  enter("results");
}

async function begin() {
  try {
    ({ session, trials, given } = await askFor("/begin", { observer: find("observer").value }));
  } catch (error) {
    find("refused").textContent = error.message;
    return;
  }
  const next = given.findIndex((choice) => choice === null);
  enter("asking");
  await show(next);
}

const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));

/** Buttons show what is chosen of the view. */
function tell() {
  for (const button of all("button[data-view]")) press(button, button.dataset.view === view.arrangement);
  find("flip").hidden = view.arrangement !== "place";
  for (const button of all("button[data-zoom]")) press(button, button.dataset.zoom === view.zoom);
}

function tellPlaying() {
  find("play").toggleAttribute("data-playing", !player.paused);
  find("play").setAttribute("aria-label", player.paused ? "Go on" : "Pause");
}

function step(by) {
  if (!player.paused) player.toggle();
  player.step(by);
}

const acts = {
  1: () => choose("a"),
  ArrowLeft: () => choose("a"),
  2: () => choose("b"),
  ArrowRight: () => choose("b"),
  v: () => view.arrange(view.arrangement === "sides" ? "place" : "sides"),
  f: () => view.flip(),
  ArrowUp: () => view.flip(),
  ArrowDown: () => view.flip(),
  r: () => view.holdReference(true),
  z: () => view.zoomOn(),
  " ": () => player.toggle(),
  ",": () => step(-1),
  ".": () => step(1),
  Backspace: () => index > 0 && show(index - 1),
  "?": () => find("keys").showModal(),
};
const pans = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

addEventListener("keydown", (event) => {
  const asking = document.documentElement.dataset.state === "asking" && !find("keys").open;
  if (!asking || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && event.target.closest("button")) return; // it presses the button
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const pan = event.shiftKey && pans[key];
  const act = pan ? () => view.pan(...pan) : acts[key];
  if (!act) return;
  event.preventDefault();
  if (event.repeat && !pan && ![",", "."].includes(key)) return;
  act();
  tell();
});
addEventListener("keyup", (event) => {
  if (event.key.toLowerCase() === "r") view.holdReference(false);
});
addEventListener("blur", () => view.holdReference(false));

addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (event.detail > 0) button.blur(); // or Space would press it again
  if (button.dataset.choice) choose(button.dataset.choice);
  if (button.dataset.view) view.arrange(button.dataset.view);
  if (button.dataset.zoom) view.zoomTo(button.dataset.zoom);
  tell();
});
find("flip").addEventListener("click", acts.f);
find("play").addEventListener("click", acts[" "]);
find("back-frame").addEventListener("click", () => step(-1));
find("on-frame").addEventListener("click", () => step(1));
find("back").addEventListener("click", acts.Backspace);
find("help").addEventListener("click", acts["?"]);
find("again").addEventListener("click", () => show(index));
find("once-more").addEventListener("click", begin);
find("reference").addEventListener("pointerdown", () => view.holdReference(true));
for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
  find("reference").addEventListener(end, () => view.holdReference(false));
}
for (const event of ["play", "pause"]) find("video").addEventListener(event, tellPlaying);
find("begin").addEventListener("submit", (event) => {
  event.preventDefault();
  begin();
});

about = await askFor("/about");
for (const heading of all(".question")) heading.textContent = about.question;
document.title = about.question;
find("length").textContent = `There are ${about.trials} pairs.`;
find("observer").value = about.observer;
find("keys-list").append(document.querySelector(".keys").cloneNode(true));
for (const element of all('[data-needs="reference"]')) element.hidden = !about.reference;
tell();
enter("welcome");
find("observer").focus();
