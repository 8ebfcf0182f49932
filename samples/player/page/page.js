/** The divider and the figures. */

const part = (id) => document.getElementById(id);
const player = part("player");
const WINDOW_MS = 2000;

let pictures = [];

function put(id, text) {
  part(id).textContent = text;
}

function divide() {
  const { value } = part("split");
  player.setAttribute("split", value);
  part("line").style.left = `${100 * value}%`;
  tell();
}

function tell() {
  const named = { loading: "Plain while the network loads", plain: "Plain", restored: "Restored" }[player.state];
  put("state", player.why ? `${named}: ${player.why}.` : `${named}.`);
  part("line").hidden = player.state !== "restored";
}

function shown({ detail }) {
  const now = performance.now();
  pictures = [...pictures.filter(({ at }) => now - at < WINDOW_MS), { at: now, ms: detail.ms }];
  const span = now - pictures[0].at;
  const mean = pictures.reduce((sum, { ms }) => sum + ms, 0) / pictures.length;
  put("work", `${mean.toFixed(0)} ms`);
  put("fps", span ? ((1000 * (pictures.length - 1)) / span).toFixed(1) : "–");
  put("skipped", String(detail.skipped));
}

/** What irn-send wrote down. */
async function figures() {
  const { stream, source, summary, peers } = await (await fetch("report.json")).json();
  put("rate", `${stream.kbps.toFixed(0)} kb/s`);
  const full = peers.find(({ model, metric }) => model === "lanczos-x1" && metric === "psnr_y");
  put("plain", full?.rate ? `${(stream.kbps * full.rate).toFixed(0)} kb/s` : "–");
  put("psnr", summary.psnr_y ? `${summary.psnr_y.mean.toFixed(2)} dB` : "–");
  put("sent", `Sent as ${stream.width} × ${stream.height}, restored to ${source.width} × ${source.height} by this browser.`);
}

part("split").addEventListener("input", divide);
part("keep").addEventListener("change", ({ target }) => {
  player.setAttribute("late", target.checked ? "keep" : "drop");
  if (target.checked && player.state === "plain") player.setAttribute("src", player.getAttribute("src"));
});
player.addEventListener("change", tell);
player.addEventListener("picture", shown);
figures().catch(() => put("sent", "A small H.264 stream, restored by this browser."));
tell();
