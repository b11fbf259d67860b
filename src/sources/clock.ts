import type { HttpClient } from "../http/client.ts";
import { MINUTE_MS } from "../time.ts";

/**
 * An older offset is measured again. Otherwise one wrong `Date`, or one step of our own clock, could leave no window ready: then
 * there would be no further request, and no correct `Date`.
 */
const MAX_AGE_MS = MINUTE_MS;

/**
 * How far an API's clock is ahead of ours in milliseconds, by its last `Date` header. If that is unknown or old, `request` sends
 * a request. Any answer works, even a refusal: only its `Date` matters.
 */
export async function knownClockOffsetMs(client: HttpClient, request: () => Promise<unknown>): Promise<number> {
  const known = client.clockOffsetMs(MAX_AGE_MS);
  if (known !== undefined) return known;
  await request();
  // Without a `Date`, our own clock counts.
  return client.clockOffsetMs() ?? 0;
}
