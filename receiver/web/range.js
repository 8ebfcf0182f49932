/**
 * The range coder of the tuned weights: that of the library constriction (Bamler 2022, arXiv:2201.01741), 32-bit words,
 * 64 bits of state, probabilities of 24 bits.
 */

const PRECISION = 24;
const WORD = 32n;
const LEAST = 1n << WORD;
const MASK = (1n << 64n) - 1n;
const LARGEST = 15;
const [OFTEN, WEIGHT] = [40, 6]; // What is expected before anything was seen, and how fast it is learned.

/** How often each symbol has come so far, which is what the next ones are expected to be. */
export class Counts {
  #counts;

  constructor(counts) {
    this.#counts = counts;
  }

  /** All alike likely. */
  static even(symbols) {
    return new Counts(new Float64Array(symbols).fill(1));
  }

  /** Most weights stay, and small steps come more often than large ones. */
  static ofSteps() {
    const counts = new Float64Array(2 * LARGEST + 1).fill(1);
    counts.set([WEIGHT, OFTEN, WEIGHT], LARGEST - 1);
    return new Counts(counts);
  }

  /** Where each symbol begins among 2^24 equal parts, and the end of the last. */
  bounds() {
    const sum = this.#counts.reduce((total, count) => total + count, 0);
    const shares = this.#counts.map((count) => count / sum);
    const scale = (2 ** PRECISION - shares.length) / shares.reduce((total, share) => total + share, 0);
    const found = new Float64Array(shares.length + 1);
    let cumulative = 0;
    shares.forEach((share, index) => {
      found[index] = Math.trunc(cumulative * scale) + index;
      cumulative += share;
    });
    found[shares.length] = 2 ** PRECISION;
    return found;
  }

  learn(symbols) {
    for (const symbol of symbols) this.#counts[symbol] += WEIGHT;
  }
}

/** Decodes symbols with models that learn them. Damaged words give any symbols, or a RangeError. */
export class RangeDecoder {
  #words;
  #at = 0;
  #lower = 0n;
  #range = MASK;
  #point = 0n;

  /** @param {number[]} words */
  constructor(words) {
    this.#words = words;
    this.#point = (this.#word() << WORD) | this.#word();
  }

  /** @param {number} count @param {Counts} model learns them afterwards @returns {number[]} */
  symbols(count, model) {
    const bounds = model.bounds();
    const found = Array.from({ length: count }, () => this.#one(bounds));
    model.learn(found);
    return found;
  }

  /** @param {Counts} model @returns {number} */
  symbol(model) {
    return this.symbols(1, model)[0];
  }

  #one(bounds) {
    const scale = this.#range >> BigInt(PRECISION);
    const quantile = Number(((this.#point - this.#lower) & MASK) / scale);
    if (quantile >= 2 ** PRECISION) throw new RangeError("no symbol is coded so");
    let symbol = 0;
    while (bounds[symbol + 1] <= quantile) symbol += 1;
    this.#lower = (this.#lower + scale * BigInt(bounds[symbol])) & MASK;
    this.#range = scale * BigInt(bounds[symbol + 1] - bounds[symbol]);
    if (this.#range < LEAST) {
      this.#lower = (this.#lower << WORD) & MASK;
      this.#range <<= WORD;
      this.#point = ((this.#point << WORD) & MASK) | this.#word();
    }
    return symbol;
  }

  #word() {
    const word = this.#words[this.#at] ?? 0;
    this.#at += 1;
    return BigInt(word);
  }
}
