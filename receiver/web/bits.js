/** Fields of H.264's headers (ITU-T H.264, 7.2 and 9.1). */

const MOST_ZEROS = 32; // Before an Exp-Golomb code; more is damage.

/** Reads bits from the front; RangeError past the end. */
export class Bits {
  #data;
  #at = 0;

  /** @param {Uint8Array} data without emulation prevention */
  constructor(data) {
    this.#data = data;
  }

  /** @param {number} count up to 32 @returns {number} unsigned */
  u(count) {
    let value = 0;
    for (let left = count; left > 0; left -= 1) value = 2 * value + this.#bit();
    return value;
  }

  /** @returns {boolean} */
  flag() {
    return this.#bit() === 1;
  }

  /** @returns {number} an unsigned Exp-Golomb code */
  ue() {
    let zeros = 0;
    while (!this.#bit()) {
      zeros += 1;
      if (zeros > MOST_ZEROS) throw new RangeError("an Exp-Golomb code that is too long");
    }
    return 2 ** zeros - 1 + this.u(zeros);
  }

  /** @returns {number} a signed Exp-Golomb code */
  se() {
    const code = this.ue();
    return code % 2 ? (code + 1) / 2 : -code / 2;
  }

  #bit() {
    const byte = this.#at >> 3;
    if (byte >= this.#data.length) throw new RangeError("the header is cut short");
    const bit = (this.#data[byte] >> (7 - (this.#at & 7))) & 1;
    this.#at += 1;
    return bit;
  }
}
