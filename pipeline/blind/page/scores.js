// What came of it: the sentence, and a table with a picture of the intervals, for all clips and for each.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 200; // of a row's picture, in units of its own
const HEIGHT = 24;

const number = (value) => `${value <= -0.005 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function drawn(name, attributes, className) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.setAttribute("class", className);
  return made;
}

/** An interval, its middle, and where 0 is; all rows of a table have the same reach. */
function picture({ score, low, high }, reach) {
  const at = (value) => ((value / reach + 1) / 2) * (WIDTH - 8) + 4;
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, "interval");
  svg.append(
    drawn("line", { x1: at(0), x2: at(0), y1: 0, y2: HEIGHT }, "zero"),
    drawn("line", { x1: at(low), x2: at(high), y1: HEIGHT / 2, y2: HEIGHT / 2 }, "reach"),
    drawn("circle", { cx: at(score), cy: HEIGHT / 2, r: 4 }, "middle"),
  );
  return svg;
}

function table({ standings }) {
  const reach = Math.max(...standings.flatMap(({ low, high }) => [Math.abs(low), Math.abs(high)]));
  const made = element("table");
  const head = made.createTHead().insertRow();
  for (const name of ["Method", "", "Score", "95 % interval", "Chosen"]) head.append(element("th", name));
  const body = made.createTBody();
  for (const standing of standings) {
    const { method, score, low, high, chosen, shown } = standing;
    const row = body.insertRow();
    row.append(element("th", method));
    row.insertCell().append(picture(standing, reach));
    row.append(element("td", number(score)), element("td", `${number(low)} to ${number(high)}`));
    row.append(element("td", `${chosen} of ${shown}`));
  }
  return made;
}

export function showScores(place, { observers, left, overall, clips }) {
  const words = [`${overall.answers} answers`, `${observers} observer${observers === 1 ? "" : "s"}`];
  const sides = `left side chosen in ${Math.round(100 * left)} %`;
  place.replaceChildren(element("p", overall.conclusion, "conclusion"), table(overall));
  place.append(element("p", `${words.join(", ")}, ${sides}`, "more"));
  if (clips.length < 2) return;
  for (const clip of clips) {
    const details = element("details");
    details.append(element("summary", clip.clip), table(clip), element("p", clip.conclusion, "more"));
    place.append(details);
  }
}
