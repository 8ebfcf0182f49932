/** Bytes of SEI messages, which hold no zeros. */

const BLOCK = 128;

/**
 * Undoes what keeps zeros out: blocks, each XORed with the byte before it.
 * @param {Uint8Array} content
 * @returns {Uint8Array}
 */
export function withZeros(content) {
  const found = new Uint8Array(content.length);
  let size = 0;
  for (let at = 0; at < content.length; at += BLOCK + 1) {
    for (const byte of content.subarray(at + 1, at + 1 + BLOCK)) {
      found[size] = byte ^ content[at];
      size += 1;
    }
  }
  return found.subarray(0, size);
}
