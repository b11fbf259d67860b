import { ProtocolError, RefusedError } from "../../errors.ts";
import type { HttpClient } from "../../http/client.ts";
import { scanArray } from "../../json/scan.ts";
import type { Finding } from "../../source.ts";
import { MINUTE_MS, type EpochMs } from "../../time.ts";
import { clockFinding, failedFinding } from "../check.ts";
import { AUDIT_SCOPE, pachcaError } from "./errors.ts";
import { isObject, parsedJson } from "../../json/parse.ts";

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
    yield failedFinding("token", error, signal);
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
    yield failedFinding("audit log", error, signal);
  }
}

/** By `GET /oauth/token/info`: `{"data":{"id":…,"name":…,"user_id":…,"scopes":[…]}}`. */
function* tokenFindings(body: Buffer): Generator<Finding> {
  const answer = parsedJson(body);
  const token = isObject(answer) && isObject(answer["data"]) ? answer["data"] : undefined;
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
