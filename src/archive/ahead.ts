/** How much is under way at once. */
export interface AheadLimits<Item> {
  readonly atOnce: number;
  /** What an item takes while it is under way, such as its bytes in memory; without it nothing. */
  readonly weightOf?: (item: Item) => number;
  /** No further item is begun from here on: so much, and one item more, is the most at once. */
  readonly weightMax?: number;
}

/**
 * Does `work` for several items at once, and yields the results in the items' order. Never ahead by more than `atOnce`,
 * so that nothing piles up in memory. The first failure ends it, in its turn.
 */
export async function* ahead<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  work: (item: Item) => Result | Promise<Result>,
  { atOnce, weightOf = () => 0, weightMax = Infinity }: AheadLimits<Item>,
): AsyncGenerator<Result> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const waiting: { readonly result: Promise<Result>; readonly weight: number }[] = [];
  let weight = 0;
  let isEnd = false;
  try {
    for (;;) {
      while (!isEnd && waiting.length < atOnce && (waiting.length === 0 || weight < weightMax)) {
        const next = await source.next();
        if (next.done === true) {
          isEnd = true;
          break;
        }
        const item: Item = next.value;
        const begun = { result: Promise.resolve(work(item)), weight: weightOf(item) };
        // A failure counts when its turn comes; until then it must not look unhandled.
        begun.result.catch(() => undefined);
        waiting.push(begun);
        weight += begun.weight;
      }
      const first = waiting.shift();
      if (first === undefined) return;
      yield await first.result;
      weight -= first.weight;
    }
  } finally {
    await source.return?.();
  }
}
