/** The stream card: what an LR stream says about itself (docs/formats.md). */

const READABLE = [1, 2, 3, 4];
const LONGEST = 65536;
const MASKED = 2;
const DEFLATED = 1;
const LARGEST_SIDE = 16384; // Of a restored picture.
// Part of the format: what the deflated card shares with it costs next to nothing.
const DICTIONARY =
  '{"bit_depth":8,"bitrate":null,"codec":"h264","color":{"chroma_siting":1,"full_range":false,"matrix":1,' +
  '"primaries":1,"transfer":1},"comment":null,"crf":23,"frames":null,"height":1080,"latent_std":0.05,' +
  '"layout":"yuv420","lossless":false,"model":"irn-h264-x2","model_sha256":"","pad_bottom":0,"pad_right":0,' +
  '"scale":2,"seed":0,"source_bytes":1000000,"source_name":"input.mp4","source_sha256":"","version":1,"width":1920}';
const TYPICAL_QP = 28; // As irn-receive assumes where nothing tells.

// Names of code points of ITU-T H.273 in WebCodecs.
const MATRICES = { 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020-ncl" };
const PRIMARIES = { 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 12: "smpte432" };
const TRANSFERS = { 1: "bt709", 6: "smpte170m", 8: "linear", 13: "iec61966-2-1", 16: "pq", 18: "hlg" };
const HD_LINES = 720;

/**
 * @typedef {object} Card
 * @property {string} model name of the network
 * @property {string} digest first digits of the SHA-256 of its weights
 * @property {number} scale
 * @property {number} width of the restored picture
 * @property {number} height
 * @property {number} lrWidth of the decoded picture
 * @property {number} lrHeight
 * @property {string | null} look how detail is to be filled in that is not known, such as "real"
 * @property {number | null} qp to be assumed where nothing tells the quantiser; null for a stream without loss
 * @property {VideoColorSpaceInit} color
 */

/** A card that cannot be used; the message is for people. */
export class BadCard extends Error {}

/**
 * Reads the payload of an SEI message.
 * @param {Uint8Array} payload
 * @returns {Promise<Card>}
 * @throws {BadCard} damaged, of another version, or of what this player does not restore
 */
export async function cardOf(payload) {
  if (payload.length > LONGEST) throw new BadCard("the stream's card is too long");
  const masked = payload[0] === MASKED && payload.length > 2;
  const content = masked ? payload.subarray(2).map((byte) => byte ^ payload[1]) : fromBase64(payload);
  const deflated = masked ? content : content[0] === DEFLATED ? content.subarray(1) : null;
  const text = new TextDecoder().decode(deflated ? await inflated(deflated) : content);
  let values;
  try {
    values = JSON.parse(text);
  } catch {
    throw new BadCard("the stream's card is damaged: no JSON");
  }
  return checked(values);
}

function fromBase64(payload) {
  try {
    return Uint8Array.from(atob(String.fromCharCode(...payload)), (letter) => letter.charCodeAt(0));
  } catch {
    throw new BadCard("the stream's card is damaged");
  }
}

/** Browsers inflate without a dictionary, but a stored block that holds it is one. */
async function inflated(content) {
  const dictionary = new TextEncoder().encode(DICTIONARY);
  const size = dictionary.length;
  const whole = new Uint8Array(5 + size + content.length);
  whole.set([0, size & 255, size >> 8, ~size & 255, (~size >> 8) & 255]);
  whole.set(dictionary, 5);
  whole.set(content, 5 + size);
  const parts = [];
  let length = 0;
  try {
    for await (const part of streamOf(new Blob([whole]).stream().pipeThrough(new DecompressionStream("deflate-raw")))) {
      parts.push(part);
      length += part.length;
      if (length > size + LONGEST) throw new BadCard("the stream's card is too long");
    }
  } catch (error) {
    if (error instanceof BadCard) throw error;
    throw new BadCard("the stream's card is damaged: it does not inflate");
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer()).subarray(size);
}

/** Not every browser iterates over streams. */
async function* streamOf(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function checked(values) {
  if (typeof values !== "object" || values === null) throw new BadCard("the stream's card is damaged");
  if (!READABLE.includes(values.version)) {
    throw new BadCard(`the stream's card has version ${short(values.version)}; a newer player is needed`);
  }
  const { model, model_sha256: digest, scale, width, height, pad_right: right, pad_bottom: bottom, layout } = values;
  const whole = (value, most) => Number.isInteger(value) && value >= 0 && value <= most;
  const sides = [width, height].every((side) => whole(side, LARGEST_SIDE) && side > 0);
  const pads = [right, bottom].every((pad) => whole(pad, 1024));
  const names = [model, digest].every((text) => typeof text === "string" && text.length <= 200);
  const look = values.look ?? null;
  if (look !== null && !(typeof look === "string" && look.length <= 50)) throw new BadCard("the stream's card is damaged: look");
  if (!sides || !pads || !names || !(scale === 1.5 || (whole(scale, 16) && scale > 0))) {
    throw new BadCard("the stream's card is damaged: its sizes or names make no sense");
  }
  const [lrWidth, lrHeight] = [(width + right) / scale, (height + bottom) / scale];
  if (lrWidth % 2 || lrHeight % 2) throw new BadCard("the stream's card is damaged: its sizes do not fit");
  if (layout !== "yuv420" || values.bit_depth !== 8) {
    throw new BadCard(`this player restores 4:2:0 of 8 bits, not ${short(layout)} of ${short(values.bit_depth)}`);
  }
  return { model, digest, scale, width, height, lrWidth, lrHeight, look, qp: assumed(values), color: colorOf(values) };
}

function assumed({ crf, bitrate }) {
  if (typeof crf === "number" && crf >= 0 && crf <= 63) return crf;
  return typeof bitrate === "number" ? TYPICAL_QP : null;
}

/** Browsers guess what a stream does not say from its size, which is not that of the restored pictures. */
function colorOf({ color, height }) {
  const { matrix: said, primaries, transfer, full_range: fullRange } = color ?? {};
  const matrix = MATRICES[said] ?? (said === 2 && height < HD_LINES ? "smpte170m" : "bt709");
  return {
    matrix,
    primaries: PRIMARIES[primaries] ?? (matrix === "bt709" ? "bt709" : "smpte170m"),
    transfer: TRANSFERS[transfer] ?? "bt709",
    fullRange: fullRange === true,
  };
}

function short(value) {
  return String(JSON.stringify(value)).slice(0, 40);
}
