import { createHash } from "node:crypto";

/** Bytes that one id takes, in memory and in an ids file. */
export const ID_BYTES = 16;
const WORDS = ID_BYTES / 4;

/** Up to this the room grows in great steps. */
const ROOM_BYTES = 64 * 1024 * 1024;

/** What tells one item from another: its id, or its bytes where it has none. */
export type ItemId = string | Buffer;

/** An id in 16 bytes: a UUID packed, any other id, and the bytes of an item without one, as the first half of its SHA-256. */
export function packId(id: ItemId): Buffer {
  const packed = Buffer.alloc(ID_BYTES);
  packInto(packed, 0, id);
  return packed;
}

/** A set of ids: 16 bytes each, and about half as much again: a million events of one window take 24 MB. */
export interface IdSet {
  readonly size: number;
  has(id: ItemId): boolean;
  /** The same for one of a packed list: the id that begins at byte `at`. */
  hasPacked(packed: Buffer, at: number): boolean;
  /** False when it was there already. */
  add(id: ItemId): boolean;
  /** Adds each id of a packed list, such as an ids file. */
  addPacked(packed: Buffer): void;
  /** All ids packed and sorted, as an ids file holds them. It is the set's own memory: whoever adds more, sorts it anew. */
  sorted(): Buffer;
}

/** The ids one after another as they came, and an open-addressing hash table of their places, from 1; 0 is empty. */
export function idSet(): IdSet {
  let bytes = Buffer.from(new ArrayBuffer(1024 * ID_BYTES));
  let words = wordsOf(bytes);
  let places = new Uint32Array(2048);
  let size = 0;
  // One id more than there are has room: behind the last stands the one that is asked for.
  const ask = (id: ItemId) => packInto(bytes, size * ID_BYTES, id);
  const askPacked = (packed: Buffer, at: number) => packed.copy(bytes, size * ID_BYTES, at, at + ID_BYTES);

  /** Where in the table the id at a place is, or would go. */
  function slotOf(place: number): number {
    const at = place * WORDS;
    for (let slot = hashOf(words, at) & (places.length - 1); ; slot = (slot + 1) & (places.length - 1)) {
      const found = places[slot] ?? 0;
      if (found === 0 || isSame(words, (found - 1) * WORDS, at)) return slot;
    }
  }

  function hasAsked(): boolean {
    return places[slotOf(size)] !== 0;
  }

  function addAsked(): boolean {
    const slot = slotOf(size);
    if (places[slot] !== 0) return false;
    places[slot] = ++size;
    if (size * 4 > places.length * 3) index(places.length * 2);
    if ((size + 1) * ID_BYTES > bytes.length) {
      // Memory that is not written to is not taken: so much room at once costs nothing. Four million ids have it; beyond
      // that, what a small machine would not promise is not asked for.
      const larger = Buffer.from(new ArrayBuffer(bytes.length * (bytes.length < ROOM_BYTES ? 64 : 2)));
      larger.set(bytes);
      bytes = larger;
      words = wordsOf(bytes);
    }
    return true;
  }

  function index(slots: number): void {
    places = slots === places.length ? places.fill(0) : new Uint32Array(slots);
    for (let place = 0; place < size; place++) places[slotOf(place)] = place + 1;
  }

  return {
    get size() {
      return size;
    },
    has(id) {
      if (size === 0) return false;
      ask(id);
      return hasAsked();
    },
    hasPacked(packed, at) {
      askPacked(packed, at);
      return hasAsked();
    },
    add(id) {
      ask(id);
      return addAsked();
    },
    addPacked(packed) {
      for (let at = 0; at + ID_BYTES <= packed.length; at += ID_BYTES) {
        askPacked(packed, at);
        addAsked();
      }
    },
    sorted() {
      sort(words, bytes, 0, size);
      index(places.length);
      return bytes.subarray(0, size * ID_BYTES);
    },
  };
}

/** With a sign: a number that does not fit into 31 bits and a sign would be an object of its own. */
const wordsOf = ({ buffer }: Buffer): Int32Array => new Int32Array(buffer);

/** Ids differ in any of their words (a time-ordered UUID in the last ones only), so all take part. */
function hashOf(words: Int32Array, at: number): number {
  let hash = words[at] ?? 0;
  hash ^= Math.imul(words[at + 1] ?? 0, 0x85ebca6b);
  hash ^= Math.imul(words[at + 2] ?? 0, 0xc2b2ae35);
  hash ^= Math.imul(words[at + 3] ?? 0, 0x27d4eb2f);
  hash = Math.imul(hash, 0x9e3779b1);
  return hash ^ (hash >>> 15);
}

function isSame(words: Int32Array, one: number, other: number): boolean {
  for (let word = 0; word < WORDS; word++) if (words[one + word] !== words[other + word]) return false;
  return true;
}

const DASH = 0x2d;
/** The value of a hexadecimal digit by its character code; other characters have 255. */
const HEX = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = "0123456789abcdef".indexOf(String.fromCharCode(code).toLowerCase());
  return value < 0 ? 255 : value;
});

/** Packs an id to byte `end` of `into`. By hand and without garbage, for each event goes through here. */
function packInto(into: Buffer, end: number, id: ItemId): void {
  if (typeof id === "string" && id.length === 36 && packUuid(into, end, id)) return;
  createHash("sha256").update(id).digest().copy(into, end, 0, ID_BYTES);
}

function packUuid(into: Buffer, end: number, text: string): boolean {
  for (let at = 0; at < 36; at += 2) {
    if (at === 8 || at === 13 || at === 18 || at === 23) {
      if (text.charCodeAt(at) !== DASH) return false;
      at++;
    }
    const high = HEX[text.charCodeAt(at)] ?? 255;
    const low = HEX[text.charCodeAt(at + 1)] ?? 255;
    if ((high | low) > 15) return false;
    into[end++] = (high << 4) | low;
  }
  return true;
}

/** Below this many, the simplest way is the fastest. */
const FEW = 16;

/** Sorts the ids from place `from` up to `to`, exclusive, by their bytes, where they are: a million would take 16 MB more elsewhere. */
function sort(words: Int32Array, bytes: Buffer, from: number, to: number): void {
  while (to - from > FEW) {
    // One of them goes to the front, and stands between the smaller and the larger ones at the end. Not the middle one: of two
    // sorted lists that alternate it is the smallest, again and again.
    swap(words, from, from + ((Math.imul(to - from, 0x9e3779b1) >>> 0) % (to - from)));
    let middle = from;
    for (let place = from + 1; place < to; place++) {
      if (compare(bytes, place, from) < 0) swap(words, ++middle, place);
    }
    swap(words, from, middle);
    // The smaller half first, so that the stack stays low.
    if (middle - from < to - middle) {
      sort(words, bytes, from, middle);
      from = middle + 1;
    } else {
      sort(words, bytes, middle + 1, to);
      to = middle;
    }
  }
  for (let place = from + 1; place < to; place++) {
    for (let at = place; at > from && compare(bytes, at, at - 1) < 0; at--) swap(words, at, at - 1);
  }
}

function swap(words: Int32Array, one: number, other: number): void {
  for (let word = 0; word < WORDS; word++) {
    const kept = words[one * WORDS + word] ?? 0;
    words[one * WORDS + word] = words[other * WORDS + word] ?? 0;
    words[other * WORDS + word] = kept;
  }
}

function compare(bytes: Buffer, one: number, other: number): number {
  for (let byte = 0; byte < ID_BYTES; byte++) {
    const difference = (bytes[one * ID_BYTES + byte] ?? 0) - (bytes[other * ID_BYTES + byte] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
