import { codeOf, ProtocolError, RefusedError } from "../errors.ts";
import type { HttpClient } from "../http.ts";
import { scanArray } from "../json.ts";
import type { Finding } from "../source.ts";
import { formatDuration, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";
import { AUDIT_SCOPE, isObject, pachcaError } from "./pachca-errors.ts";

export interface PachcaCheckOptions {
  readonly baseUrl: string;
  readonly lagMs: number;
}

/**
 * The preflight: the token and its scope, the clocks, and one event of the log, because the owner's role shows only when
 * the log itself is asked for. Each request is made once: whoever runs this is waiting.
 */
export async function* pachcaCheck(
  { baseUrl, lagMs }: PachcaCheckOptions,
  client: HttpClient,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const ask = async (path: string) => {
    const url = new URL(`${baseUrl}${path}`);
    const answer = await client.request({ method: "GET", url, retrySafe: false, classify: () => undefined }, signal);
    return { ...answer, error: pachcaError(answer) };
  };

  let now: EpochMs;
  try {
    const { error, body, receivedAt } = await ask("/oauth/token/info");
    // An installation that cannot describe a token may still serve the log; and if the address is wrong, that will show.
    if (error !== undefined && error.code !== "not_found") throw error;
    if (error === undefined) yield* tokenFindings(body);
    else yield { state: "warning", what: `token: not known: ${error.message}`, hint: error.hint };
    now = receivedAt;
  } catch (error) {
    yield failed("token", error, signal);
    return;
  }
  yield clockFinding(client.clockOffsetMs(), lagMs);

  // A minute that is over for sure: the read itself, which leaves an event, is not in it.
  const to = new Date(now - 2 * MINUTE_MS).toISOString();
  const from = new Date(now - 3 * MINUTE_MS).toISOString();
  try {
    const { error, body, what } = await ask(`/audit_events?start_time=${from}&end_time=${to}&limit=1`);
    if (error !== undefined) throw error;
    scanArray(body, "data", what);
    yield { state: "ok", what: "audit log: can be read" };
  } catch (error) {
    yield failed("audit log", error, signal);
  }
}

/** By `GET /oauth/token/info`: `{"data":{"id":…,"name":…,"user_id":…,"scopes":[…]}}`. */
function* tokenFindings(body: Buffer): Generator<Finding> {
  const token = tokenIn(body);
  if (token === undefined) {
    const error = new ProtocolError("GET /oauth/token/info: the answer does not describe a token");
    yield { state: "failed", what: error.message, hint: "check baseUrl, and any proxy between", error };
    return;
  }
  const { id, name, user_id: owner, scopes } = token;
  const called = typeof name === "string" ? JSON.stringify(name) : `number ${String(id)}`;
  yield { state: "ok", what: `token: ${called}, of user ${String(owner)}` };
  if (Array.isArray(scopes) && scopes.includes(AUDIT_SCOPE)) {
    yield { state: "ok", what: `token: has the scope ${AUDIT_SCOPE}` };
    return;
  }
  const what = `token: lacks the scope ${AUDIT_SCOPE}`;
  const hint = "give the token this scope in Pachca; only the workspace owner can";
  yield { state: "failed", what, hint, error: new RefusedError("forbidden", what, { hint }) };
}

function tokenIn(body: Buffer): Record<string, unknown> | undefined {
  try {
    const answer: unknown = JSON.parse(body.toString("utf8"));
    return isObject(answer) && isObject(answer["data"]) ? answer["data"] : undefined;
  } catch {
    return undefined;
  }
}

/** Windows are closed by the earlier of two clocks, so a wrong one delays them, and in the end empties them. */
function clockFinding(offsetMs: number | undefined, lagMs: number): Finding {
  if (offsetMs === undefined) {
    return { state: "warning", what: "clocks: the API does not say its time", hint: "keep this machine's clock right" };
  }
  // Known to the second.
  const seconds = Math.round(Math.abs(offsetMs) / SECOND_MS);
  const apart = formatDuration(seconds * SECOND_MS);
  const what = `clocks: ours and the API's are ${apart} apart`;
  if (Math.abs(offsetMs) <= lagMs / 3) return { state: "ok", what };
  const hint = `set this machine's clock: it is ${apart} ${offsetMs > 0 ? "behind" : "ahead"}`;
  return { state: Math.abs(offsetMs) > lagMs ? "failed" : "warning", what, hint };
}

/** A refusal or an outage is a finding. An abort is not, and neither is a bug. */
function failed(what: string, error: unknown, signal: AbortSignal): Finding {
  signal.throwIfAborted();
  if (!(error instanceof Error) || codeOf(error) === "bug") throw error;
  const hint = "hint" in error && typeof error.hint === "string" ? error.hint : undefined;
  return { state: "failed", what: `${what}: ${error.message}`, hint, error };
}
