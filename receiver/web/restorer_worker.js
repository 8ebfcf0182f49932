/** A worker that restores pictures. It does what it is told one after another. */

import { Network } from "./network.js";
import { frameOf, planesOf } from "./planes.js";
import { answering } from "./workers.js";

let network = null;
let size = null;
let key = null;

answering({ start, restore }, true);

async function start({ files, runtime, stream }) {
  await network?.release();
  network = null;
  key = null;
  size = stream;
  network = await Network.load(files, runtime, size.lrWidth, size.lrHeight);
  return { provider: network.provider };
}

/** `update` and `group`: the payload of the tuned weights, and a number that is the same for the same. */
async function restore({ frame, qp, update, group }) {
  const began = performance.now();
  const note = group === key ? "" : network.tune(update);
  key = group;
  const restored = await network.restore(await planesOf(frame, size.lrWidth, size.lrHeight), qp);
  const found = frameOf(restored, size.color, frame.timestamp);
  return { frame: found, ms: performance.now() - began, note, transfer: [found] };
}
