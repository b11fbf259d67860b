/** Random numbers that are the same for the same seed. Not for secrets. */
export interface Random {
  /** An integer from 0 to 2^32 - 1. */
  uint32(): number;
  /** A number in [0, 1). */
  share(): number;
  /** An integer in [0, limit). */
  below(limit: number): number;
  /** One of `items`, which must not be empty. */
  pick<Item>(items: readonly Item[]): Item;
  /** A text in the form of a UUID version 4, lower case. */
  uuid(): string;
}

const UINT32 = 2 ** 32;
const HEX_DIGITS = Buffer.from("0123456789abcdef");
/** The positions in the text of a UUID of the eight bytes of each half. */
const UUID_HALVES = [
  [0, [0, 2, 4, 6, 9, 11, 14, 16]],
  [1, [19, 21, 24, 26, 28, 30, 32, 34]],
] as const;
/** The first numbers are discarded, so that similar seeds give unrelated numbers. */
const WARM_UP = 12;

/**
 * The generator sfc32 of Chris Doty-Humphrey (PractRand): it has 128 bits of state and starts quickly, so that each cell of a
 * history can have its own.
 */
export function randomOf(seed: number, stream: number): Random {
  // A typed array: a variable of the closure with a number above 2^31 would cost an allocation at each step.
  const state = Int32Array.of(seed, Math.floor(seed / UINT32) ^ Math.floor(stream / UINT32), stream, 1);

  function uint32(): number {
    const [a, b, c, counter] = [state[0] ?? 0, state[1] ?? 0, state[2] ?? 0, state[3] ?? 0];
    const sum = (((a + b) | 0) + counter) | 0;
    state[0] = b ^ (b >>> 9);
    state[1] = (c + (c << 3)) | 0;
    state[2] = (((c << 21) | (c >>> 11)) + sum) | 0;
    state[3] = (counter + 1) | 0;
    return sum >>> 0;
  }
  for (let round = 0; round < WARM_UP; round++) uint32();

  const share = (): number => uint32() / UINT32;
  const below = (limit: number): number => Math.floor(share() * limit);
  const digits = Buffer.from("00000000-0000-0000-0000-000000000000");

  return {
    uint32,
    share,
    below,
    pick: <Item>(items: readonly Item[]): Item => items[below(items.length)] as Item,
    uuid() {
      // Written as bytes and read as one text, which avoids an object for each piece.
      for (const [half, starts] of UUID_HALVES) {
        let [high, low] = [uint32(), uint32()];
        if (half === 0) low = (low & 0xffff_0fff) | 0x4000;
        else high = (high & 0x3fff_ffff) | 0x8000_0000;
        for (let byte = 0; byte < 8; byte++) {
          const value = (byte < 4 ? high >>> (24 - 8 * byte) : low >>> (56 - 8 * byte)) & 0xff;
          digits[starts[byte] ?? 0] = HEX_DIGITS[value >>> 4] ?? 0;
          digits[(starts[byte] ?? 0) + 1] = HEX_DIGITS[value & 15] ?? 0;
        }
      }
      return digits.toString("latin1");
    },
  };
}
