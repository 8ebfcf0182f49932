/** Demultiplexes in a worker: whoever waits too long for a file that is made to keep a program busy can end it. */

import { cardOf } from "./card.js";
import { Track } from "./demuxing.js";
import { answering } from "./workers.js";

let track = null;
let packets = null;
let current = 0;

answering({ open, seek, next }, false);

async function open({ source, patience, library, known }) {
  const takes = async (payload) => {
    const { model, digest } = await cardOf(payload);
    return known.some(([name, own]) => name === model && (own.startsWith(digest) || digest.startsWith(own)));
  };
  track = await Track.open(source, patience, (payload) => takes(payload).catch(() => false), library);
  const { config, width, height, card } = track;
  return { config, width, height, card };
}

function seek({ from, number }) {
  packets?.return();
  packets = track.packets(from);
  current = number;
  return {};
}

/** `number` is that of the seek after which it is wanted. */
async function next({ number }) {
  if (number !== current) return { done: true };
  const { done, value } = await packets.next();
  return { done: done || number !== current, value };
}
