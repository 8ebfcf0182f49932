/** Questions to a worker and its answers. */

/** The page's side. */
export class Asked {
  #worker;
  #waiting = new Map();
  #next = 0;

  /** @param {Worker} worker that `answering` runs in */
  constructor(worker) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => this.#heard(data));
    worker.addEventListener("error", () => this.#broken());
  }

  /**
   * @param {{type: string}} what
   * @param {Transferable[]} [transfer]
   * @returns {Promise<object>} rejected with what the worker says is wrong
   */
  ask(what, transfer = []) {
    const id = this.#next;
    this.#next += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...what }, transfer);
    });
  }

  /** Ends the worker. */
  stop() {
    this.#worker.terminate();
    this.#broken();
  }

  #heard({ id, why, ...found }) {
    const { resolve, reject } = this.#waiting.get(id) ?? {};
    this.#waiting.delete(id);
    if (!resolve) found.frame?.close();
    else if (why === undefined) resolve(found);
    else reject(new Error(why));
  }

  #broken() {
    for (const { reject } of this.#waiting.values()) reject(new Error("a worker of the player does not run"));
    this.#waiting.clear();
  }
}

/**
 * The worker's side.
 * @param {Object<string, (what: object) => object | Promise<object>>} tasks by type; what they give is the answer,
 *   `transfer` in it what is handed over
 * @param {boolean} inTurn one after another
 */
export function answering(tasks, inTurn) {
  let work = Promise.resolve();
  addEventListener("message", ({ data }) => {
    work = inTurn ? work.then(() => answer(tasks, data)) : answer(tasks, data);
  });
}

async function answer(tasks, { id, type, ...what }) {
  try {
    const { transfer = [], ...found } = await tasks[type](what);
    postMessage({ id, ...found }, transfer);
  } catch (error) {
    postMessage({ id, why: error.message ?? String(error) });
  } finally {
    what.frame?.close();
  }
}
