import type { HttpClient } from "../http/client.ts";
import { MINUTE_MS } from "../time.ts";

/**
 * The clock is asked again after this time. If an old answer counted for ever, one wrong `Date`, or one step of our own clock,
 * could leave no window ready, so there would be no request and no better `Date`.
 */
const MAX_AGE_MS = MINUTE_MS;

/**
 * How far an API's clock is ahead of ours in milliseconds, by its last `Date`; where that is unknown or old, by the answer to
 * `ask`. Any answer will do, even a refusal: only its `Date` matters.
 */
export async function knownClockOffsetMs(client: HttpClient, ask: () => Promise<unknown>): Promise<number> {
  const known = client.clockOffsetMs(MAX_AGE_MS);
  if (known !== undefined) return known;
  await ask();
  // Without a `Date` our own clock counts.
  return client.clockOffsetMs() ?? 0;
}
