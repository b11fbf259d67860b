import type { HttpClient } from "../../http/client.ts";
import type { Finding } from "../../source.ts";
import { epochMs, formatSpan, MINUTE_MS, type Span } from "../../time.ts";
import { clockFinding, failedFinding } from "../check.ts";
import { communicationsMiningError } from "./errors.ts";
import { queryRequest, readAnswer } from "./query.ts";

export interface CommunicationsMiningCheckOptions {
  readonly baseUrl: string;
  readonly lagMs: number;
}

/**
 * The preflight: one query of the log, because nothing else shows the token's permission, and then the clocks. It is made
 * once: whoever runs this is waiting.
 */
export async function* communicationsMiningCheck(
  { baseUrl, lagMs }: CommunicationsMiningCheckOptions,
  client: HttpClient,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  // A minute that is over for sure: the query itself, which may leave an event, is not in it.
  const minute = Math.floor(Date.now() / MINUTE_MS);
  const span: Span = { from: epochMs((minute - 3) * MINUTE_MS), to: epochMs((minute - 2) * MINUTE_MS) };
  try {
    const answer = await client.request(
      { ...queryRequest(baseUrl, { limit: 1, span }), retrySafe: false, classify: communicationsMiningError },
      signal,
    );
    const { events } = readAnswer(answer.body, answer.what);
    const found = events.length > 0 ? "something" : "nothing";
    yield { state: "ok", what: `audit log: can be read, and has ${found} in ${formatSpan(span)}` };
  } catch (error) {
    yield failedFinding("audit log", error, signal);
    return;
  }
  yield clockFinding(client.clockOffsetMs(), lagMs);
}
