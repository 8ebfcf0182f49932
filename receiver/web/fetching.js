/** Servers are neither trusted nor waited for without end. */

/** Milliseconds for which a server may send nothing. */
export const PATIENCE_MS = 20000;

/**
 * What is wanted, or an error if it does not come soon.
 * @template T
 * @param {Promise<T>} promise
 * @param {number} patience ms
 * @returns {Promise<T>}
 */
export async function soon(promise, patience) {
  let timer = 0;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the server stalls")), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A file, if it has at most so many bytes.
 * @param {string} address
 * @param {number} most
 * @param {number} patience ms
 * @returns {Promise<Uint8Array>}
 */
export async function fetched(address, most, patience) {
  const given = new AbortController();
  try {
    const response = await soon(fetch(address, { signal: given.signal }), patience);
    if (!response.ok) throw new Error(`the server has no ${nameOf(address)} (${response.status})`);
    const blob = await body(response, most, patience);
    return new Uint8Array(await blob.arrayBuffer());
  } finally {
    given.abort();
  }
}

/**
 * All of an answer, if it has at most so many bytes.
 * @param {Response} response
 * @param {number} most
 * @param {number} patience ms
 * @returns {Promise<Blob>}
 */
export async function body(response, most, patience) {
  const [parts, reader] = [[], response.body.getReader()];
  for (let size = 0; ; ) {
    const { done, value } = await soon(reader.read(), patience);
    if (done) return new Blob(parts, { type: response.headers.get("Content-Type") ?? "" });
    size += value.length;
    if (size > most) {
      reader.cancel().catch(() => {});
      throw new Error(`${nameOf(response.url)} is longer than it should be`);
    }
    parts.push(value);
  }
}

/** The last part of an address. */
export function nameOf(address) {
  return new URL(address).pathname.split("/").pop();
}
