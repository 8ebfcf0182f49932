/** Tuned weights: a change of a network's weights in whole steps, as it comes with a keyframe (docs/formats.md). */

import { withZeros } from "./masks.js";
import { RangeDecoder, Counts } from "./range.js";

const [PLAIN, TOLD] = [2, 3]; // Versions.
const LONGEST = 65536;
const HEADER = 5;
const LARGEST = 15;
const [MOST_EXPONENT, MOST_RANK, MOST_TOLD] = [15, 15, 16];
const [TAPS, MIDDLE] = [9, 4];
const FINE = 2 ** 24; // Kernels are rounded to so fine a grid for the mixing.
const QP_SPREAD = 12;
const [LAST, LAST_BIAS] = ["restorer.last.weight", "restorer.last.bias"];
const [QUANTISER, QUANTISER_BIAS] = ["restorer.embedding.0.weight", "restorer.embedding.0.bias"];

/**
 * @typedef {Map<string, {shape: number[], data: Float32Array}>} Weights
 *   what may be changed, and the layer that the quantiser goes through
 */

/** Weights that cannot be used; the message is for people. */
export class BadUpdate extends Error {}

/**
 * The weights as the sender has changed them.
 * @param {Uint8Array} message payload of the SEI message
 * @param {Weights} weights of the general network; stay as they are
 * @returns {Weights}
 * @throws {BadUpdate} damaged, of another version, or made for another network
 */
export function tuned(message, weights) {
  if (message.length > LONGEST) throw new BadUpdate("the tuned weights are too long");
  const content = withZeros(message);
  if (content.length < HEADER || (content.length - HEADER) % 4) throw new BadUpdate("the tuned weights are damaged");
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const version = view.getUint8(0);
  if (version !== PLAIN && version !== TOLD) {
    throw new BadUpdate("the tuned weights are damaged or of another version");
  }
  const words = [];
  for (let at = HEADER; at < content.length; at += 4) words.push(view.getUint32(at, true));
  const changed = applied(new RangeDecoder(words), weights, version === TOLD);
  if (checksum(changed, version === TOLD) !== view.getUint32(1, true)) {
    throw new BadUpdate("the tuned weights are damaged, or made for another network");
  }
  return changed;
}

function applied(coder, weights, isTold) {
  const told = isTold ? coder.symbol(Counts.even(2 * MOST_TOLD + 1)) - MOST_TOLD : 0;
  const changed = new Map(weights);
  if (coder.symbol(Counts.even(2))) changeHidden(coder, changed);
  if (coder.symbol(Counts.even(2))) changeLast(coder, changed);
  if (told) {
    const { data: slope } = weights.get(QUANTISER);
    const step = Math.fround(told / QP_SPREAD);
    put(changed, QUANTISER_BIAS, (bias, index) => bias + Math.fround(slope[index] * step));
  }
  return changed;
}

function changeHidden(coder, changed) {
  const exponent = coder.symbol(Counts.even(MOST_EXPONENT + 1));
  const rank = coder.symbol(Counts.even(MOST_RANK + 1));
  const layers = hiddenLayers(changed);
  const width = changed.get(LAST).shape[1];
  const steps = (size) => {
    const model = Counts.ofSteps();
    return layers.map(() => coder.symbols(size, model).map((symbol) => symbol - LARGEST));
  };
  const [gains, lefts, rights] = [steps(2 * width), steps(width * rank), steps(rank * width)];
  const step = 2 ** (2 - exponent);
  layers.forEach((layer, index) => {
    put(changed, `${layer}.modulation.bias`, (value, at) => value + gains[index][at] * step);
    if (rank) mix(changed, `${layer}.conv.weight`, lefts[index], rights[index], rank, exponent);
  });
}

/** All numbers until the last rounding are whole and below 2^53, so that the result is the same everywhere. */
function mix(changed, name, left, right, rank, exponent) {
  const { shape, data } = changed.get(name);
  const [outputs, inputs] = [shape[0], data.length / shape[0]];
  const fine = Float64Array.from(data, (value) => toEven(value * FINE));
  const unit = 4 ** (3 - exponent) / FINE;
  const found = new Float32Array(data.length);
  for (let output = 0; output < outputs; output += 1) {
    const row = new Float64Array(inputs);
    for (let other = 0; other < outputs; other += 1) {
      let product = 0;
      for (let index = 0; index < rank; index += 1) {
        product += left[output * rank + index] * right[index * outputs + other];
      }
      if (product) for (let at = 0; at < inputs; at += 1) row[at] += product * fine[other * inputs + at];
    }
    for (let at = 0; at < inputs; at += 1) {
      found[output * inputs + at] = data[output * inputs + at] + row[at] * unit;
    }
  }
  changed.set(name, { shape, data: found });
}

function changeLast(coder, changed) {
  const [outputs, channels] = changed.get(LAST).shape;
  const sizes = Counts.even(MOST_EXPONENT + 1);
  const exponents = Array.from({ length: channels + 1 }, () => coder.symbol(sizes));
  const [middle, side, corner] = [Counts.ofSteps(), Counts.ofSteps(), Counts.ofSteps()];
  const weight = changed.get(LAST).data.slice();
  const bias = changed.get(LAST_BIAS).data.slice();
  for (let tap = 0; tap < TAPS; tap += 1) {
    const model = tap === MIDDLE ? middle : tap % 2 ? side : corner;
    for (let channel = 0; channel < channels + (tap === MIDDLE); channel += 1) {
      const step = 2 ** (2 - exponents[channel]);
      coder.symbols(outputs, model).forEach((symbol, output) => {
        if (channel === channels) bias[output] += (symbol - LARGEST) * step;
        else weight[(output * channels + channel) * TAPS + tap] += (symbol - LARGEST) * step;
      });
    }
  }
  put(changed, LAST, (_, index) => weight[index]);
  put(changed, LAST_BIAS, (_, index) => bias[index]);
}

function put(changed, name, value) {
  const { shape, data } = changed.get(name);
  changed.set(name, { shape, data: data.map(value) });
}

/** From first to last. */
function hiddenLayers(weights) {
  const layers = ["restorer.first"];
  while (weights.has(`restorer.body.${layers.length - 1}.conv.weight`)) layers.push(`restorer.body.${layers.length - 1}`);
  return layers;
}

/** CRC-32 of what a message may change. */
function checksum(weights, isTold) {
  const layers = hiddenLayers(weights);
  const names = layers.map((layer) => `${layer}.modulation.bias`);
  names.push(...layers.map((layer) => `${layer}.conv.weight`), LAST, LAST_BIAS, ...(isTold ? [QUANTISER_BIAS] : []));
  let crc = 0xffffffff;
  for (const name of names) {
    const { data } = weights.get(name); // Little-endian, as all machines with browsers are.
    for (const byte of new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) {
      crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
    }
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const CRC = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function toEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
