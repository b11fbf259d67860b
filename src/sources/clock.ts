import type { HttpClient } from "../http/client.ts";
import { MINUTE_MS } from "../time.ts";

/**
 * Asked again after this: were an old answer believed for ever, one wrong Date, or one step of our own clock, could leave
 * no window ready, hence no request, hence no better Date.
 */
const MAX_AGE_MS = MINUTE_MS;

/**
 * How far an API's clock is ahead of ours, by its last `Date`; where that is unknown or old, by the answer to `ask`. Any
 * answer will do, a refusal too: what matters is its `Date`.
 */
export async function knownClockOffsetMs(client: HttpClient, ask: () => Promise<unknown>): Promise<number> {
  const known = client.clockOffsetMs(MAX_AGE_MS);
  if (known !== undefined) return known;
  await ask();
  // A server that keeps its time to itself leaves us with ours.
  return client.clockOffsetMs() ?? 0;
}
