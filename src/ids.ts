import { createHash } from "node:crypto";

/** Bytes that one id takes, in memory and in an ids file. */
export const ID_BYTES = 16;
const WORDS = ID_BYTES / 4;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** What tells one item from another: its id, or its bytes where it has none. */
export type ItemId = string | Buffer;

/** An id in 16 bytes: a UUID packed, any other id, and the bytes of an item without one, as the first half of its SHA-256. */
export function packId(id: ItemId): Buffer {
  if (typeof id === "string" && UUID.test(id)) return Buffer.from(id.replaceAll("-", ""), "hex");
  return createHash("sha256").update(id).digest().subarray(0, ID_BYTES);
}

/** A set of ids, 16 bytes each: about 32 bytes an id in memory, so a million events of one window take 32 MB. */
export interface IdSet {
  readonly size: number;
  has(id: ItemId): boolean;
  /** The same for one of a packed list: the id that begins at byte `at`. */
  hasPacked(packed: Buffer, at: number): boolean;
  /** False when it was there already. */
  add(id: ItemId): boolean;
  /** Adds each id of a packed list, such as an ids file. */
  addPacked(packed: Buffer): void;
  /** All ids packed and sorted, as an ids file holds them. */
  sorted(): Buffer;
}

/** An open-addressing hash table over packed ids. A slot of zeros is empty, so the id of zeros is kept apart. */
export function idSet(): IdSet {
  let capacity = 1024;
  let slots = new Uint32Array(capacity * WORDS);
  let used = 0;
  let hasZero = false;

  /** The word index of the id's slot, or of the empty slot where it would go. */
  function slotOf(table: Uint32Array, tableCapacity: number, a: number, b: number, c: number, d: number): number {
    // Ids differ in any of their words (a time-ordered UUID in the last ones only), so all take part.
    let hash = Math.imul(
      a ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35) ^ Math.imul(d, 0x27d4eb2f),
      0x9e3779b1,
    );
    hash ^= hash >>> 15;
    for (let slot = hash & (tableCapacity - 1); ; slot = (slot + 1) & (tableCapacity - 1)) {
      const at = slot * WORDS;
      const [p = 0, q = 0, r = 0, s = 0] = [table[at], table[at + 1], table[at + 2], table[at + 3]];
      if ((p === a && q === b && r === c && s === d) || (p === 0 && q === 0 && r === 0 && s === 0)) return at;
    }
  }

  function grow(): void {
    const larger = new Uint32Array(slots.length * 2);
    for (let at = 0; at < slots.length; at += WORDS) {
      const id = words(slots, at);
      if (id.some((word) => word !== 0)) larger.set(id, slotOf(larger, capacity * 2, ...id));
    }
    slots = larger;
    capacity *= 2;
  }

  function hasWords(a: number, b: number, c: number, d: number): boolean {
    if (a === 0 && b === 0 && c === 0 && d === 0) return hasZero;
    const at = slotOf(slots, capacity, a, b, c, d);
    return slots[at] !== 0 || slots[at + 1] !== 0 || slots[at + 2] !== 0 || slots[at + 3] !== 0;
  }

  function addWords(a: number, b: number, c: number, d: number): boolean {
    if (a === 0 && b === 0 && c === 0 && d === 0) {
      const isNew = !hasZero;
      hasZero = true;
      return isNew;
    }
    const at = slotOf(slots, capacity, a, b, c, d);
    if (slots[at] !== 0 || slots[at + 1] !== 0 || slots[at + 2] !== 0 || slots[at + 3] !== 0) return false;
    slots.set([a, b, c, d], at);
    used++;
    if (used * 2 > capacity) grow();
    return true;
  }

  return {
    get size() {
      return used + (hasZero ? 1 : 0);
    },
    has: (id) => hasWords(...wordsOf(packId(id), 0)),
    hasPacked: (packed, at) => hasWords(...wordsOf(packed, at)),
    add: (id) => addWords(...wordsOf(packId(id), 0)),
    addPacked(packed) {
      for (let at = 0; at + ID_BYTES <= packed.length; at += ID_BYTES) addWords(...wordsOf(packed, at));
    },
    sorted() {
      const places = new Uint32Array(used);
      let found = 0;
      for (let at = 0; at < slots.length; at += WORDS) {
        if (words(slots, at).some((word) => word !== 0)) places[found++] = at;
      }
      places.sort((one, other) => compareAt(slots, one, other));
      const packed = Buffer.alloc((used + (hasZero ? 1 : 0)) * ID_BYTES);
      let end = hasZero ? ID_BYTES : 0;
      for (const at of places) for (const word of words(slots, at)) end = packed.writeUInt32BE(word, end);
      return packed;
    },
  };
}

type Words = [a: number, b: number, c: number, d: number];

function words(slots: Uint32Array, at: number): Words {
  return [slots[at] ?? 0, slots[at + 1] ?? 0, slots[at + 2] ?? 0, slots[at + 3] ?? 0];
}

function wordsOf(packed: Buffer, at: number): Words {
  return [
    packed.readUInt32BE(at),
    packed.readUInt32BE(at + 4),
    packed.readUInt32BE(at + 8),
    packed.readUInt32BE(at + 12),
  ];
}

function compareAt(slots: Uint32Array, one: number, other: number): number {
  for (let part = 0; part < WORDS; part++) {
    const difference = (slots[one + part] ?? 0) - (slots[other + part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
