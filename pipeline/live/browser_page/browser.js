/** Brings the parts of the page that restores together: socket, decoder, restorer, figures. */

import { AccessUnits } from "/irn-player/access_unit.js";
import { Decoder, decoderOptions } from "/irn-player/decoder.js";
import { Link } from "/link.js";
import { Pace, put } from "/pace.js";
import { Restoring } from "/restoring.js";

const LIVE = { connecting: "Connecting", playing: "Live", closed: "Offline", failed: "Stopped" };

const root = document.documentElement;
const part = (id) => document.getElementById(id);

let pace = null;
let decoder = null;
let restoring = null;
let head = null;
let units = new AccessUnits();
let tuned = { update: null, group: 0 };

/** What is missing for this page to work, in words; empty if nothing is. */
function missing() {
  if (!isSecureContext) return "Browsers decode video for pages only at localhost or over https.";
  if (!("VideoDecoder" in window)) return "This browser has no WebCodecs, which newer ones have.";
  return "";
}

function heard(message) {
  if (message.type === "stream") begin(message);
  else if (message.type === "picture") head = message;
}

function arrived(data) {
  if (head && root.dataset.state !== "failed") decoder.decode({ ...head, ...weightsOf(new Uint8Array(data)) }, data);
  head = null;
}

/** Tuned weights come with keyframes, for all pictures up to the next one. */
function weightsOf(data) {
  if (head.keyframe) tuned = { update: units.read(data).update, group: tuned.group + 1 };
  return tuned;
}

function begin(stream) {
  const { codec, model, width, height, lr_width, lr_height } = stream;
  setState("connecting");
  say("Loading the network …");
  part("stream").textContent = `${lr_width} × ${lr_height} to ${width} × ${height}`;
  put("model", model);
  pace.clear();
  units = new AccessUnits();
  decoder.start({ codec });
  restoring.start(stream);
}

function ready(provider) {
  put("provider", provider);
  say("Waiting for the next picture …");
}

function restored({ index, captured }, ms) {
  pace.restored(captured, ms);
  root.dataset.index = index;
  if (root.dataset.state === "playing") return;
  setState("playing");
  part("message").hidden = true;
}

function failed(why) {
  decoder.stop();
  setState("failed");
  say(why);
}

function closed() {
  decoder.stop();
  pace.clear();
  head = null;
  setState("closed");
  return true;
}

function retrying(seconds) {
  say(`No connection to the server. Trying again in ${seconds} s.`);
}

function setState(name) {
  root.dataset.state = name;
  part("live").textContent = LIVE[name];
}

function say(text) {
  part("message-text").textContent = text;
  part("message").hidden = false;
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else part("stage").requestFullscreen?.();
}

function listen() {
  part("full").hidden = !document.fullscreenEnabled;
  part("full").addEventListener("click", fullScreen);
  addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey }) => {
    if (key.toLowerCase() === "f" && !(ctrlKey || metaKey || altKey)) fullScreen();
  });
}

async function start() {
  const why = missing();
  const options = why ? null : await decoderOptions();
  if (!options) {
    setState("failed");
    say(why || "This browser cannot decode H.264.");
    return;
  }
  if (!crossOriginIsolated) part("status").textContent = "Not isolated from other sites: one thread does all the work.";
  pace = new Pace();
  restoring = new Restoring(part("picture"), { ready, restored, dropped: () => pace.dropped(), failed });
  decoder = new Decoder(options, { picture: (frame, of) => restoring.add(frame, of), failed });
  window.restoredPlanes = () => restoring.planes(); // For those who measure.
  new Link({ text: heard, binary: arrived, closed, retrying }, "/lr").connect();
}

listen();
start();
