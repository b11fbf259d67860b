/** How much runs at once. */
export interface ParallelLimits<Item> {
  readonly atOnce: number;
  /** What an item takes while it is under way or waits for its turn, such as bytes of memory; without it nothing. */
  readonly weightOf?: (item: Item) => number;
  /** At this weight no further item is started: at most so much, and one item more, is under way. */
  readonly weightMax?: number;
}

/**
 * Does `work` for several items at once, and yields the results in the order of the items. Results that wait count as under way,
 * so that nothing piles up in memory. The first failure is thrown when its turn comes. When the generator ends, in whatever way,
 * all that was started has ended.
 *
 * p-map's `pMapIterable` is close to this, but knows no weights, and after a failure it leaves the other calls running: the next
 * stream's reads would add to them.
 */
export async function* mapInOrder<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  work: (item: Item) => Result | Promise<Result>,
  { atOnce, weightOf = () => 0, weightMax = Infinity }: ParallelLimits<Item>,
): AsyncGenerator<Result> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const started: { readonly result: Promise<Result>; readonly weight: number }[] = [];
  let weight = 0;
  let isEnd = false;
  try {
    for (;;) {
      while (!isEnd && started.length < atOnce && (started.length === 0 || weight < weightMax)) {
        const next = await source.next();
        if (next.done === true) {
          isEnd = true;
          break;
        }
        const item: Item = next.value;
        const one = { result: Promise.resolve(work(item)), weight: weightOf(item) };
        // A failure is thrown in its turn. Until then it must not look unhandled.
        one.result.catch(() => undefined);
        started.push(one);
        weight += one.weight;
      }
      const first = started.shift();
      if (first === undefined) return;
      yield await first.result;
      weight -= first.weight;
    }
  } finally {
    await source.return?.();
    await Promise.allSettled(started.map(({ result }) => result));
  }
}
