/** Where a video comes from: the `<video>` gets it, and whoever demultiplexes it. */

import { body, nameOf, soon } from "./fetching.js";

const MOST_BYTES = 256 << 20; // Of a file that a server sends only as a whole.

/**
 * @typedef {object} Attached
 * @property {string | Blob} source for `RemoteTrack.open`
 * @property {(track: import("./remote_track.js").RemoteTrack) => void} keep plays the rendition of this track, and no other
 * @property {() => void} free plays whichever rendition is best
 * @property {() => void} close frees what it holds
 */

/**
 * Gives a `<video>` its source.
 * @param {HTMLVideoElement} video
 * @param {string} address
 * @param {number} patience ms
 * @param {AbortSignal} signal after which nothing is given any more
 * @returns {Promise<Attached>}
 */
export async function attached(video, address, patience, signal) {
  const given = new AbortController();
  signal.addEventListener("abort", () => given.abort());
  try {
    const response = await soon(fetch(address, { headers: { Range: "bytes=0-0" }, signal: given.signal }), patience);
    if (!response.ok) throw new Missing(`the server has no ${nameOf(address)} (${response.status})`);
    if (isPlaylist(address)) return await playlist(video, address, signal);
    if (response.status === 206) {
      video.src = address;
      return { source: address, ...ALONE };
    }
    // Browsers seek only where servers send parts of files; python -m http.server, for one, does not.
    const blob = await body(response, MOST_BYTES, patience);
    signal.throwIfAborted();
    const url = URL.createObjectURL(blob);
    video.src = url;
    return { source: blob, ...ALONE, close: () => URL.revokeObjectURL(url) };
  } catch (error) {
    if (!(error instanceof Missing || signal.aborted)) video.src = address; // The browser may be luckier.
    throw error;
  } finally {
    given.abort();
  }
}

/** Likewise for one that is not restored. */
export async function attachedPlainly(video, address, signal) {
  if (isPlaylist(address)) return playlist(video, address, signal);
  video.src = address;
  return { source: address, ...ALONE };
}

function isPlaylist(address) {
  return nameOf(address).endsWith(".m3u8");
}

const ALONE = { keep: () => {}, free: () => {}, close: () => {} };

/** By hls.js, or by a browser that plays playlists itself and lets nobody choose. */
async function playlist(video, address, signal) {
  const { default: Hls } = await import("hls.js");
  signal.throwIfAborted();
  if (!Hls.isSupported()) {
    video.src = address;
    return { source: address, ...ALONE };
  }
  const hls = new Hls();
  hls.loadSource(address);
  hls.attachMedia(video);
  const keep = ({ width, height }) => {
    const level = hls.levels.findLastIndex((one) => one.width === width && one.height === height);
    if (level >= 0) hls.currentLevel = level;
  };
  return { source: address, keep, free: () => (hls.currentLevel = -1), close: () => hls.destroy() };
}

class Missing extends Error {}
