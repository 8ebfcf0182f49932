// The modules that need no browser, on what test_web_player.py wrote down: `IRN_FIXTURES` names the file.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";

import { AccessUnits, unitsOf } from "../../../receiver/web/access_unit.js";
import { BadCard, cardOf } from "../../../receiver/web/card.js";
import { Track } from "../../../receiver/web/demuxing.js";
import { Networks } from "../../../receiver/web/networks.js";
import { BadUpdate, tuned } from "../../../receiver/web/weights.js";

const MUTATIONS = 1000;
const fixtures = JSON.parse(readFileSync(process.env.IRN_FIXTURES));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const weights = new Map(
  fixtures.weights.map(([name, shape, hex]) => [name, { shape, data: new Float32Array(bytes(hex).buffer) }]),
);

/** Numbers that are the same in each run (mulberry32). */
function chances(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function mutated(content, chance) {
  const found = content.slice(0, chance(4) ? content.length : chance(content.length + 1));
  for (let count = 1 + chance(8); count > 0 && found.length; count -= 1) found[chance(found.length)] = chance(256);
  return found;
}

for (const { name, description, units, quantisers } of fixtures.streams) {
  test(`slices of ${name} begin with the quantiser that the decoder tells`, () => {
    const reader = new AccessUnits(description ? bytes(description) : null);
    const found = units.map((unit) => reader.read(bytes(unit)));
    assert.equal(found[0].keyframe, true);
    assert.deepEqual(
      found.map(({ qp }) => qp),
      quantisers,
    );
  });
}

test("mean quantisers that the sender tells", () => {
  const { description, units, quantisers } = fixtures.sent;
  const reader = new AccessUnits(bytes(description));
  const found = units.map((unit) => reader.read(bytes(unit)).qp);
  assert.deepEqual(found, quantisers.map((qp) => Math.round(4 * qp) / 4));
  assert.ok(found.some((qp) => qp % 1));
});

test("the card of a stream", async () => {
  const { units, description, card } = fixtures.sent;
  const { card: payload } = new AccessUnits(description ? bytes(description) : null).read(bytes(units[0]));
  const { model, digest, width, height, lrWidth, lrHeight, scale } = await cardOf(payload);
  assert.deepEqual({ model, digest, width, height, lrWidth, lrHeight, scale }, card);
});

for (const { payload, why } of fixtures.cards) {
  test(`a card: ${why || "good"}`, async () => {
    if (why) await assert.rejects(cardOf(bytes(payload)), (error) => error instanceof BadCard && error.message.includes(why));
    else assert.equal((await cardOf(bytes(payload))).model, "irn-h264-x2");
  });
}

test("a look chooses among networks of the same sender", () => {
  const entry = (scale, macs) => ({ digest: "ab", scale, macs_up: macs });
  const networks = new Networks("", { a: entry(2, 5), "a-plus": entry(2, 5), lite: entry(2, 1), b: entry(2, 9), other: entry(4, 1) }, 0);
  assert.deepEqual(networks.ladder("a", "ab"), ["a", "lite"]);
  assert.deepEqual(networks.ladder("a", "ab", "faithful"), ["a", "lite"]);
  assert.deepEqual(networks.ladder("a", "ab", "real"), ["a-plus", "a", "lite"]);
  assert.deepEqual(networks.ladder("b", "ab", "real"), ["b", "a", "lite"]);
  assert.deepEqual(networks.ladder("a-plus", "ab"), ["a-plus", "lite"]);
  assert.throws(() => networks.ladder("a", "cd", "real"), /other weights/);
});

test("tuned weights are those of the sender to the bit", () => {
  for (const { message, changed } of fixtures.updates) {
    const found = tuned(bytes(message), weights);
    assert.equal(found.size, weights.size);
    for (const [name, hex] of changed) {
      assert.ok(Buffer.from(found.get(name).data.buffer).equals(Buffer.from(hex, "hex")), name);
    }
  }
});

test("tuned weights that are damaged are refused", () => {
  const chance = chances(1);
  const [shortest] = fixtures.updates;
  let refused = 0;
  for (let count = 0; count < MUTATIONS; count += 1) {
    const { message, changed } = shortest; // The checksum alone tells what is wrong with most.
    try {
      const found = tuned(mutated(bytes(message), chance), weights);
      for (const [name, hex] of changed) assert.equal(Buffer.from(found.get(name).data.buffer).toString("hex"), hex);
    } catch (error) {
      assert.ok(error instanceof BadUpdate || error instanceof RangeError, error.stack);
      refused += 1;
    }
  }
  assert.ok(refused > MUTATIONS / 2);
});

test("access units that are damaged crash nothing", () => {
  const chance = chances(2);
  for (let count = 0; count < MUTATIONS; count += 1) {
    const { description, units } = fixtures.streams[chance(fixtures.streams.length)];
    const avcc = description && bytes(description);
    const reader = new AccessUnits(avcc && (chance(3) ? avcc : mutated(avcc, chance)));
    const said = [bytes(units[0]), mutated(bytes(units[0]), chance), mutated(bytes(units[chance(units.length)]), chance)];
    for (const { qp } of said.map((unit) => reader.read(unit))) {
      assert.ok(qp === null || Number.isFinite(qp));
    }
  }
});

test("cards that are damaged are refused", async () => {
  const chance = chances(3);
  const good = bytes(fixtures.cards.find(({ why }) => !why).payload);
  let refused = 0;
  for (let count = 0; count < MUTATIONS; count += 1) {
    try {
      const { width, height, lrWidth, lrHeight } = await cardOf(mutated(good, chance));
      assert.ok(Math.max(width, height, lrWidth, lrHeight) <= 20000);
    } catch (error) {
      assert.ok(error instanceof BadCard, error.stack);
      refused += 1;
    }
  }
  assert.ok(refused > MUTATIONS / 2);
});

test("units of both forms", () => {
  const annexB = [...unitsOf(bytes("0000000109f00000010605ff"), 0)];
  assert.deepEqual(annexB.map((unit) => Buffer.from(unit).toString("hex")), ["09f0", "0605ff"]);
  const mp4 = [...unitsOf(bytes("0000000209f0000000030605ff000000ff01"), 4)];
  assert.deepEqual(mp4.map((unit) => Buffer.from(unit).toString("hex")), ["09f0", "0605ff"]);
});

const skip = existsSync(new URL("../../../receiver/web/node_modules/mediabunny", import.meta.url)) ? false : "no mediabunny";

test("segments that are damaged crash nothing", { skip }, async () => {
  const chance = chances(4);
  const takes = async (payload) => Boolean((await cardOf(payload)).model);
  let opened = 0;
  for (let count = 0; count < MUTATIONS; count += 1) {
    const content = bytes(fixtures.files[chance(fixtures.files.length)]);
    const source = new Blob([count ? mutated(content, chance) : content]);
    try {
      const track = await Track.open(source, 5000, takes);
      const reader = new AccessUnits(track.config.description);
      for await (const { data } of track.packets(chance(2))) reader.read(data);
      track.close();
      opened += 1;
    } catch (error) {
      assert.ok(error instanceof Error && error.message !== "the server stalls", error.stack);
    }
  }
  assert.ok(opened > 10);
});
