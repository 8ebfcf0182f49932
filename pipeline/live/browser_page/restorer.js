/** A worker that restores pictures and draws them. It does what it is told one after another. */

import { Network } from "/network.js";
import { cropped, draw, planesOf } from "/planes.js";

let context = null;
let stream = null;
let network = null;
let loaded = "";

const tasks = { canvas: takeCanvas, stream: begin, picture: restore };
let work = Promise.resolve();

addEventListener("message", ({ data }) => {
  work = work.then(() => tasks[data.type](data)).catch((error) => failed(error, data));
});

function failed(error, { run, frame }) {
  frame?.close();
  postMessage({ type: "failed", run, why: error.message });
}

function takeCanvas({ canvas }) {
  context = canvas.getContext("2d", { alpha: false });
}

/** A stream begins; a network that is there already stays. */
async function begin({ run, stream: next }) {
  stream = next;
  const key = `${next.model} ${next.lr_width}x${next.lr_height}`;
  if (key !== loaded) {
    loaded = "";
    await network?.release();
    network = null;
    network = await Network.load(next.model, next.lr_width, next.lr_height);
    loaded = key;
  }
  context.canvas.width = next.width;
  context.canvas.height = next.height;
  postMessage({ type: "ready", run, provider: network.provider });
}

async function restore({ run, frame, head, wanted }) {
  const began = performance.now();
  const { width, height, lr_width, lr_height } = stream;
  const restored = await network.restore(await planesOf(frame, lr_width, lr_height), head.qp);
  draw(context, restored, stream.color);
  frame.close();
  const planes = wanted ? cropped(restored, width, height) : null;
  postMessage({ type: "restored", run, head, planes, ms: performance.now() - began });
}
