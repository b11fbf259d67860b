import { createHash } from "node:crypto";

/** Bytes that one id takes, in memory and in an ids file. */
export const ID_BYTES = 16;
const WORDS = ID_BYTES / 4;

/** Up to this size the room grows in large steps. */
const ROOM_BYTES = 64 * 1024 * 1024;

/** What identifies an item: its id, or its bytes if it has none. */
export type ItemId = string | Buffer;

/** An id in 16 bytes: a UUID packed; any other id, and the bytes of an item without one, as the first half of its SHA-256. */
export function packId(id: ItemId): Buffer {
  const packed = Buffer.alloc(ID_BYTES);
  packInto(packed, 0, id);
  return packed;
}

/** A set of ids. Each takes 16 bytes, and about half as much for the table: a million events of one window take 24 MB. */
export interface IdSet {
  readonly size: number;
  has(id: ItemId): boolean;
  /** The same for an id of a packed list, the one that begins at byte `at`. */
  hasPacked(packed: Buffer, at: number): boolean;
  /** False if it was there already. */
  add(id: ItemId): boolean;
  /** Adds each id of a packed list, such as an ids file. */
  addPacked(packed: Buffer): void;
  /** All ids packed and sorted, as an ids file holds them. This is the set's own memory: after adding more, it must be sorted again. */
  sorted(): Buffer;
}

/** The ids in the order in which they came, and an open-addressing hash table of their places, counted from 1; 0 is empty. */
export function idSet(): IdSet {
  let bytes = Buffer.from(new ArrayBuffer(1024 * ID_BYTES));
  let words = wordsOf(bytes);
  let places = new Uint32Array(2048);
  let size = 0;
  // There is room for one id more: the one that is looked up is written behind the last.
  const pack = (id: ItemId) => packInto(bytes, size * ID_BYTES, id);
  const copyPacked = (packed: Buffer, at: number) => packed.copy(bytes, size * ID_BYTES, at, at + ID_BYTES);

  /** Where in the table the id at a place is, or would go. */
  function slotOf(place: number): number {
    const at = place * WORDS;
    for (let slot = hashOf(words, at) & (places.length - 1); ; slot = (slot + 1) & (places.length - 1)) {
      const found = places[slot] ?? 0;
      if (found === 0 || isSame(words, (found - 1) * WORDS, at)) return slot;
    }
  }

  function hasPackedLast(): boolean {
    return places[slotOf(size)] !== 0;
  }

  function addPackedLast(): boolean {
    const slot = slotOf(size);
    if (places[slot] !== 0) return false;
    places[slot] = ++size;
    if (size * 4 > places.length * 3) index(places.length * 2);
    if ((size + 1) * ID_BYTES > bytes.length) {
      // Memory that is not written to is not used, so much room at once costs nothing. It is enough for four million ids. Beyond
      // that the steps are small: a small machine may refuse a large one.
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
      pack(id);
      return hasPackedLast();
    },
    hasPacked(packed, at) {
      copyPacked(packed, at);
      return hasPackedLast();
    },
    add(id) {
      pack(id);
      return addPackedLast();
    },
    addPacked(packed) {
      for (let at = 0; at + ID_BYTES <= packed.length; at += ID_BYTES) {
        copyPacked(packed, at);
        addPackedLast();
      }
    },
    sorted() {
      sort(words, bytes, 0, size);
      index(places.length);
      return bytes.subarray(0, size * ID_BYTES);
    },
  };
}

/** Signed words: V8 would allocate an object for a number that does not fit into 31 bits and a sign. */
const wordsOf = ({ buffer }: Buffer): Int32Array => new Int32Array(buffer);

/** Ids may differ in any of their words (time-ordered UUIDs only in the last ones), so all are hashed. */
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

/** Packs an id into `into` from byte `end` on. Written out, and without garbage: every event passes here. */
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

/** Up to so many, the simplest sort is the fastest. */
const FEW = 16;

/** Sorts the ids from place `from` to `to`, exclusive, by their bytes, in place: a copy of a million ids would take 16 MB. */
function sort(words: Int32Array, bytes: Buffer, from: number, to: number): void {
  while (to - from > FEW) {
    // The pivot goes to the front, and at the end between the smaller and the larger ids. It is not the middle one: of two sorted
    // lists that alternate, that is the smallest, again and again.
    swap(words, from, from + ((Math.imul(to - from, 0x9e3779b1) >>> 0) % (to - from)));
    let middle = from;
    for (let place = from + 1; place < to; place++) {
      if (compare(bytes, place, from) < 0) swap(words, ++middle, place);
    }
    swap(words, from, middle);
    // The smaller half first, so that the stack stays small.
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
