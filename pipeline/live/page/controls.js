/** The form with what can be set at the sender and the emulated link. */

import { clamp, figure } from "/names.js";

const SETTLE_MS = 1500; // So long after a change the server's own value comes back, if it differs.
const BITRATE = { low: 50e3, high: 5e6, positions: 200 };
const RATE = { low: 100e3, high: 5e6, positions: 99 };

const SLIDERS = {
  bitrate: {
    toPosition: (value) => logPosition(BITRATE, value),
    toValue: (position) => logValue(BITRATE, position),
    text: kilobits,
  },
  temperature: { toPosition: Number, toValue: Number, text: (value) => figure(value, "", 2) },
  loss: {
    toPosition: (share) => share * 100,
    toValue: (percent) => rounded(percent / 100),
    text: (share) => figure(share * 100, "%", 1),
  },
  delay: {
    toPosition: (seconds) => seconds * 1000,
    toValue: (ms) => rounded(ms / 1000),
    text: (seconds) => figure(seconds * 1000, "ms"),
  },
  rate: {
    toPosition: (value) => (value > 0 ? 1 + logPosition(RATE, value) : 0),
    toValue: (position) => (position > 0 ? logValue(RATE, position - 1) : 0),
    text: (value) => (value > 0 ? kilobits(value) : value === 0 ? "off" : "–"),
  },
};

/** Shows the settings in force, and asks for others. */
export class Controls {
  #form;
  #set;
  #touched = new Map();
  #held = "";

  /** @param {HTMLFormElement} form @param {(name: string, value: number | string | boolean) => void} set */
  constructor(form, set) {
    this.#form = form;
    this.#set = set;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) => this.#changed(target));
    form.addEventListener("change", ({ target }) => this.#committed(target));
    form.addEventListener("pointerdown", ({ target }) => (this.#held = target.id));
    for (const type of ["pointerup", "pointercancel"]) addEventListener(type, () => (this.#held = ""));
  }

  /**
   * Shows what this server lets be set, and its networks.
   * @param {string[]} names
   * @param {{name: string, scale: number}[]} networks
   */
  offer(names, networks) {
    for (const control of this.#form.querySelectorAll("[data-control]")) {
      control.hidden = !names.includes(control.dataset.control);
    }
    for (const group of this.#form.querySelectorAll("[data-group]")) {
      group.hidden = !group.querySelector("[data-control]:not([hidden])");
    }
    this.#form.hidden = !this.#form.querySelector("[data-control]:not([hidden])");
    this.#part("model").replaceChildren(...networks.map(({ name }) => new Option(name, name)));
    const scales = new Set(networks.map(({ scale }) => String(scale)));
    for (const radio of this.#radios()) radio.disabled = scales.size > 0 && !scales.has(radio.value);
  }

  /** @param {Record<string, number | string | boolean>} settings in force */
  show(settings) {
    for (const [name, value] of Object.entries(settings)) {
      if (value !== null && !this.#busy(name)) this.#put(name, value);
    }
  }

  /** @param {boolean} on whether anybody listens */
  set enabled(on) {
    this.#form.inert = !on;
  }

  #part(id) {
    return this.#form.querySelector(`#${id}`);
  }

  #radios() {
    return this.#form.querySelectorAll("input[name=scale]");
  }

  #busy(name) {
    return this.#held === name || performance.now() - (this.#touched.get(name) ?? -Infinity) < SETTLE_MS;
  }

  #put(name, value) {
    if (name in SLIDERS) this.#putSlider(name, value);
    else if (name === "model") this.#putModel(value);
    else if (name === "scale") for (const radio of this.#radios()) radio.checked = Number(radio.value) === value;
    else if (name === "congestion") this.#part("congestion").checked = value;
  }

  #putSlider(name, value) {
    this.#part(name).value = SLIDERS[name].toPosition(value);
    this.#describe(name, value);
    const number = this.#part(`${name}-number`);
    if (number && document.activeElement !== number) number.value = Math.round(value / 1000);
  }

  #putModel(name) {
    const model = this.#part("model");
    // A network from a file is in force without being on the list.
    if (![...model.options].some(({ value }) => value === name)) model.append(new Option(name, name));
    model.value = name;
  }

  #describe(name, value) {
    const text = SLIDERS[name].text(value);
    this.#part(name).setAttribute("aria-valuetext", text);
    const output = this.#form.querySelector(`output[for=${name}]`);
    if (output) output.value = text;
  }

  #changed({ id, value }) {
    if (!(id in SLIDERS)) return;
    const wanted = SLIDERS[id].toValue(Number(value));
    this.#describe(id, wanted);
    const number = this.#part(`${id}-number`);
    if (number) number.value = Math.round(wanted / 1000);
    this.#ask(id, wanted);
  }

  #committed({ id, name, value, checked }) {
    if (id === "model") this.#ask("model", value);
    else if (id === "congestion") this.#ask("congestion", checked);
    else if (name === "scale") this.#askScale(Number(value));
    else if (id === "bitrate-number") this.#askNumber(Number(value));
  }

  #askScale(scale) {
    this.#touched.delete("model"); // The network follows.
    this.#ask("scale", scale);
  }

  #askNumber(kbps) {
    if (!(kbps > 0)) return;
    const wanted = clamp(Math.round(kbps * 1000), BITRATE.low, BITRATE.high);
    this.#part("bitrate-number").value = Math.round(wanted / 1000);
    this.#part("bitrate").value = SLIDERS.bitrate.toPosition(wanted);
    this.#describe("bitrate", wanted);
    this.#ask("bitrate", wanted);
  }

  #ask(name, value) {
    this.#touched.set(name, performance.now());
    this.#set(name, value);
  }
}

function logPosition({ low, high, positions }, value) {
  return clamp((positions * Math.log(value / low)) / Math.log(high / low), 0, positions);
}

/** Two significant figures are as fine as anybody sets a bit rate. */
function logValue({ low, high, positions }, position) {
  return Number((low * (high / low) ** (position / positions)).toPrecision(2));
}

function kilobits(value) {
  return figure(value / 1000, "kb/s");
}

function rounded(value) {
  return Math.round(value * 1e4) / 1e4;
}
