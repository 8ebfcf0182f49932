/** How things are called and written on the page. */

const NAMES = { source: "Source", lanczos: "Lanczos", ours: "Ours" };
const NUMBERS = [0, 1, 2].map(
  (digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);

/**
 * How a pane is called.
 * @param {string} pane
 * @param {boolean} [fallback] whether the network had no time for this frame
 * @returns {string}
 */
export const paneName = (pane, fallback = false) =>
  fallback && pane === "ours" ? "Lanczos, no time for ours" : NAMES[pane] ?? pane;

/**
 * A figure with its unit, or a dash where there is none.
 * @param {number | null | undefined} value
 * @param {string} [unit]
 * @param {number} [digits] after the point, 2 at most
 * @returns {string}
 */
export function figure(value, unit = "", digits = 0) {
  if (!Number.isFinite(value)) return "–";
  return NUMBERS[digits].format(value) + (unit && `\u00a0${unit}`);
}

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
