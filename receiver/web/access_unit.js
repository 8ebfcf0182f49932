/**
 * What can be told from a coded H.264 picture without decoding it: our SEI messages, and its quantiser, or the one that
 * its slices begin with. Nothing here throws on damaged data; what cannot be read is missing from the result.
 */

import { Bits } from "./bits.js";

const [SLICE, KEYFRAME, SEI, SEQUENCE, PICTURE] = [1, 5, 6, 7, 8];
const USER_DATA = 5;
const UUIDS = {
  card: "6c1f7a529d3e4b8aa1c45e7d2f90b36d",
  update: "b7e2913c5a844df69c1b3f68a2d70e95",
  quantisers: "d94b6e1fa3524c87b5e83a716cf29d48",
};
const UUID_BYTES = 16;
const HEAD = 256; // Bytes of a slice that hold its header for certain: prediction weights are the longest part.
// Profiles whose parameters begin with layout and depth of the samples (7.3.2.1.1).
const WITH_FORMAT = new Set([44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244]);
const MOST_REFERENCES = 32;
const [TOLD_VERSION, QP_STEPS, UNKNOWN] = [1, 4, 255];

/**
 * @typedef {object} Said
 * @property {Uint8Array | null} card payload of the stream card
 * @property {Uint8Array | null} update payload of the tuned weights
 * @property {Uint8Array | null} quantisers payload of the mean quantisers
 * @property {number | null} qp the mean quantiser, if the stream tells it; else the mean over the slices of that which
 *   each begins with
 * @property {boolean} keyframe
 */

/** Reads one stream, access unit by access unit; remembers its parameter sets. */
export class AccessUnits {
  #lengthSize = 0;
  #told = [];
  #sequences = new Map();
  #pictures = new Map();

  /** @param {Uint8Array | null} description avcC (ISO/IEC 14496-15, 5.3.3.1); without one, data is Annex B */
  constructor(description = null) {
    if (description?.[0] === 1 && description.length > 6) this.#take(description);
  }

  /** @param {Uint8Array} data an access unit, the next one in order of coding @returns {Said} */
  read(data) {
    const said = { card: null, update: null, quantisers: null, qp: null, keyframe: false };
    const begun = [];
    for (const unit of unitsOf(data, this.#lengthSize)) {
      try {
        this.#unit(unit, said, begun);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
    if (said.keyframe) this.#told = toldIn(said.quantisers);
    said.qp = this.#told.shift() ?? (begun.length ? begun.reduce((sum, qp) => sum + qp, 0) / begun.length : null);
    return said;
  }

  #unit(unit, said, begun) {
    const kind = unit[0] & 31;
    if (kind === SEI) readMessages(unescaped(unit.subarray(1)), said);
    else if (kind === SEQUENCE) this.#sequence(unit);
    else if (kind === PICTURE) this.#picture(unit);
    else if (kind === SLICE || kind === KEYFRAME) {
      said.keyframe ||= kind === KEYFRAME;
      const qp = this.#sliceQp(unit);
      if (qp !== null) begun.push(qp);
    }
  }

  #take(description) {
    this.#lengthSize = (description[4] & 3) + 1;
    let at = 5;
    for (const mask of [31, 255]) {
      const count = description[at] & mask;
      at += 1;
      for (let index = 0; index < count && at + 2 <= description.length; index += 1) {
        const size = (description[at] << 8) | description[at + 1];
        const unit = description.subarray(at + 2, at + 2 + size);
        at += 2 + size;
        try {
          if (unit.length) mask === 31 ? this.#sequence(unit) : this.#picture(unit);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
        }
      }
    }
  }

  #sequence(unit) {
    const { id, ...sequence } = sequenceOf(new Bits(unescaped(unit.subarray(1))));
    this.#sequences.set(id, sequence);
  }

  #picture(unit) {
    const { id, ...picture } = pictureOf(new Bits(unescaped(unit.subarray(1))));
    this.#pictures.set(id, picture);
  }

  /** 7.3.3, up to slice_qp_delta. */
  #sliceQp(unit) {
    const [reference, keyframe] = [(unit[0] >> 5) & 3, (unit[0] & 31) === KEYFRAME];
    const bits = new Bits(unescaped(unit.subarray(1, HEAD)));
    bits.ue();
    const type = bits.ue() % 5; // 0 P, 1 B, 2 I, 3 SP, 4 SI
    const picture = this.#pictures.get(bits.ue());
    const sequence = picture && this.#sequences.get(picture.sequence);
    if (!sequence || type > 2) return null;
    if (sequence.separatePlanes) bits.u(2);
    bits.u(sequence.numberBits);
    const field = !sequence.framesOnly && bits.flag();
    if (field) bits.flag();
    if (keyframe) bits.ue();
    if (sequence.orderType === 0) {
      bits.u(sequence.orderBits);
      if (picture.orderInSlices && !field) bits.se();
    } else if (sequence.orderType === 1 && !sequence.orderAlwaysZero) {
      bits.se();
      if (picture.orderInSlices && !field) bits.se();
    }
    if (picture.redundant) bits.ue();
    if (type === 1) bits.flag();
    const references = [...picture.references];
    if (type < 2 && bits.flag()) for (let list = 0; list <= type; list += 1) references[list] = bits.ue() + 1;
    if (type < 2) skipModifications(bits, type);
    if ((type === 0 && picture.weighted) || (type === 1 && picture.weightedBoth)) {
      skipWeights(bits, sequence, references.slice(0, type + 1));
    }
    if (reference) skipMarking(bits, keyframe);
    if (picture.arithmetic && type < 2) bits.ue();
    return 26 + picture.quantiser + bits.se();
  }
}

/** NAL units of Annex B (`lengthSize` 0) or of MP4's samples. */
export function* unitsOf(data, lengthSize) {
  if (lengthSize) yield* measuredUnits(data, lengthSize);
  else yield* markedUnits(data);
}

function* measuredUnits(data, lengthSize) {
  for (let at = 0; at + lengthSize < data.length; ) {
    let size = 0;
    for (let index = 0; index < lengthSize; index += 1) size = 256 * size + data[at + index];
    at += lengthSize;
    if (!size || size > data.length - at) return;
    yield data.subarray(at, at + size);
    at += size;
  }
}

function* markedUnits(data) {
  let begin = -1;
  for (let at = 0; at + 2 < data.length; at += 1) {
    if (data[at] || data[at + 1] || data[at + 2] !== 1) continue;
    if (begin >= 0 && at > begin) yield data.subarray(begin, at);
    begin = at + 3;
    at += 2;
  }
  if (begin >= 0 && begin < data.length) yield data.subarray(begin);
}

/** Without the bytes that keep start codes out (7.4.1). */
function unescaped(unit) {
  const found = new Uint8Array(unit.length);
  let [size, zeros] = [0, 0];
  for (const byte of unit) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte ? 0 : zeros + 1;
    found[size] = byte;
    size += 1;
  }
  return found.subarray(0, size);
}

/** SEI messages (7.3.2.3.1); of each kind of ours the last one counts. */
function readMessages(data, said) {
  for (let at = 0; at + 2 < data.length && data[at] !== 0x80; ) {
    const sizes = [0, 0];
    for (const index of [0, 1]) {
      while (data[at] === 255) {
        sizes[index] += 255;
        at += 1;
      }
      sizes[index] += data[at] ?? 0;
      at += 1;
    }
    const [type, size] = sizes;
    const body = data.subarray(at, at + size);
    at += size;
    if (type !== USER_DATA || body.length < size || size < UUID_BYTES) continue;
    const uuid = Array.from(body.subarray(0, UUID_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("");
    for (const [kind, known] of Object.entries(UUIDS)) if (uuid === known) said[kind] = body.slice(UUID_BYTES);
  }
}

/** Mean quantisers, a byte each; null for one that is not known. */
function toldIn(message) {
  if (message?.[0] !== TOLD_VERSION) return [];
  return Array.from(message.subarray(1), (byte) => (byte === UNKNOWN ? null : (byte - 1) / QP_STEPS));
}

/** 7.3.2.1.1, as far as slices need it. */
function sequenceOf(bits) {
  const profile = bits.u(8);
  bits.u(16);
  const id = bits.ue();
  let chroma = 1;
  let separatePlanes = false;
  if (WITH_FORMAT.has(profile)) {
    chroma = bits.ue();
    if (chroma === 3) separatePlanes = bits.flag();
    bits.ue();
    bits.ue();
    bits.flag();
    if (bits.flag()) skipLists(bits, chroma === 3 ? 12 : 8);
  }
  const numberBits = bits.ue() + 4;
  const orderType = bits.ue();
  let orderBits = 0;
  let orderAlwaysZero = false;
  if (orderType === 0) orderBits = bits.ue() + 4;
  else if (orderType === 1) {
    orderAlwaysZero = bits.flag();
    bits.se();
    bits.se();
    for (let left = bits.ue(); left > 0; left -= 1) bits.se();
  }
  bits.ue();
  bits.flag();
  bits.ue();
  bits.ue();
  const framesOnly = bits.flag();
  if (numberBits > 16 || orderBits > 16) throw new RangeError("damaged parameters");
  const hasChroma = chroma > 0 && !separatePlanes;
  return { id, separatePlanes, hasChroma, numberBits, orderType, orderBits, orderAlwaysZero, framesOnly };
}

/** 7.3.2.2, as far as slices need it. */
function pictureOf(bits) {
  const [id, sequence] = [bits.ue(), bits.ue()];
  const [arithmetic, orderInSlices] = [bits.flag(), bits.flag()];
  if (bits.ue() > 0) throw new RangeError("slice groups are not known");
  const references = [bits.ue() + 1, bits.ue() + 1];
  const weighted = bits.flag();
  const weightedBoth = bits.u(2) === 1;
  const quantiser = bits.se();
  bits.se();
  bits.se();
  bits.flag();
  bits.flag();
  const redundant = bits.flag();
  return { id, sequence, arithmetic, orderInSlices, references, weighted, weightedBoth, quantiser, redundant };
}

function skipLists(bits, count) {
  for (let list = 0; list < count; list += 1) {
    if (!bits.flag()) continue;
    let [last, next] = [8, 8];
    for (let index = 0; index < (list < 6 ? 16 : 64); index += 1) {
      if (next) next = (last + bits.se() + 256) % 256;
      last = next || last;
    }
  }
}

function skipModifications(bits, type) {
  for (let list = 0; list <= type; list += 1) {
    if (!bits.flag()) continue;
    for (let left = 2 * MOST_REFERENCES + 2; bits.ue() !== 3; left -= 1) {
      if (!left) throw new RangeError("too many changes of a list");
      bits.ue();
    }
  }
}

function skipWeights(bits, { hasChroma }, references) {
  bits.ue();
  if (hasChroma) bits.ue();
  for (const count of references) {
    if (count > MOST_REFERENCES) throw new RangeError("too many references");
    for (let index = 0; index < count; index += 1) {
      if (bits.flag()) bits.se(), bits.se();
      if (hasChroma && bits.flag()) for (let code = 0; code < 4; code += 1) bits.se();
    }
  }
}

function skipMarking(bits, keyframe) {
  if (keyframe) {
    bits.u(2);
    return;
  }
  if (!bits.flag()) return;
  for (let left = 2 * MOST_REFERENCES + 2; left > 0; left -= 1) {
    const operation = bits.ue();
    if (!operation) return;
    if (operation !== 5) bits.ue();
    if (operation === 3) bits.ue();
  }
}
