import { ConfigError } from "../../errors.ts";
import { DEFAULT_TIMEOUTS, type HttpClient, type HttpTimeouts } from "../../http/client.ts";
import { isPoison, type AuditEvent, type Page, type Poison, type Source } from "../../source.ts";
import { epochMs, MINUTE_MS, SECOND_MS, type Span } from "../../time.ts";
import { baseAddress } from "../address.ts";
import { knownClockOffsetMs } from "../clock.ts";
import { communicationsMiningCheck } from "./check.ts";
import { BASE_URL_HINT, communicationsMiningError } from "./errors.ts";
import { queryRequest, readAnswer, type AuditQuery, type QueryAnswer } from "./query.ts";
import { withResources } from "./resources.ts";
import { communicationsMiningVocabulary } from "./vocabulary.ts";
import { pass, type Answer } from "../paginate.ts";
import { readRecord, type EventMembers } from "../record.ts";

export interface CommunicationsMiningOptions {
  /** `https://cloud.uipath.com/<organization>/<tenant>/reinfer_`, or `https://<domain>.reinfer.io`. */
  readonly baseUrl: string;
  /** A name for the tenant, told apart in the ledger. */
  readonly account: string;
  /** Events a page; the API gives 128 where it is not told. */
  readonly pageLimit: number;
  /** How far the stream stays behind the clock: by this the preflight judges the clocks. */
  readonly lagMs: number;
  /** Pages that one pass may take. */
  readonly pagesMax?: number | undefined;
}

/**
 * The vendor's own client waits for four minutes. The connection carries nothing meanwhile, so silence on it is allowed for as
 * long as the head of the answer is.
 */
export const COMMUNICATIONS_MINING_TIMEOUTS: HttpTimeouts = {
  ...DEFAULT_TIMEOUTS,
  headMs: 4 * MINUTE_MS,
  idleMs: 4 * MINUTE_MS,
};

const MEMBERS: EventMembers = { id: "event_id", time: "timestamp", key: "event_type" };

/**
 * An event shows its time rounded to the nearest second, and it is not documented by which of the two it is found. The one is
 * never further than half a second from the other.
 */
const ROUNDING_MS = SECOND_MS;

/** Over long ago, for a question whose answer does not matter. */
const PAST_SECOND: Span = { from: epochMs(Date.UTC(2020, 0, 1)), to: epochMs(Date.UTC(2020, 0, 1) + SECOND_MS) };

/**
 * The audit log of UiPath Communications Mining: `POST /api/v1/audit_events/query`, in no documented order, by continuation.
 * Names of users, tenants, datasets … come beside the events; each record takes along those that it refers to.
 */
export function communicationsMining(options: CommunicationsMiningOptions, client: HttpClient): Source {
  const baseUrl = apiAddress(options.baseUrl);
  const { account, pageLimit, pagesMax } = options;

  async function fetchPage(query: AuditQuery, where: () => string, signal: AbortSignal): Promise<Answer> {
    // It only reads, although it is a POST.
    const request = { ...queryRequest(baseUrl, query), retrySafe: true, classify: communicationsMiningError };
    const { body, what } = await client.request(request, signal);
    const answer = readAnswer(body, `${what}: ${where()}`);
    return { page: pageOf(answer), next: answer.continuation };
  }

  return {
    identity: { type: "communications-mining", baseUrl, account },
    selection: {},
    retentionMs: undefined,
    members: {
      id: [{ path: MEMBERS.id, format: "text" }],
      time: [{ path: MEMBERS.time, format: "iso" }],
      kind: [MEMBERS.key],
    },
    vocabulary: communicationsMiningVocabulary,

    pages(span, signal) {
      const asked = { from: epochMs(span.from - ROUNDING_MS), to: epochMs(span.to + ROUNDING_MS) };
      const query: AuditQuery = { limit: pageLimit, span: asked };
      return pass(span, (continuation, where) => fetchPage({ ...query, continuation }, where, signal), pagesMax);
    },

    read: (record) => readRecord(record, MEMBERS).item,

    clockOffsetMs: (signal) =>
      knownClockOffsetMs(client, () => {
        // The API has nothing lighter to ask for. Each query may itself leave an event in the log.
        const request = queryRequest(baseUrl, { limit: 1, span: PAST_SECOND });
        return client.request({ ...request, retrySafe: true, classify: () => undefined }, signal);
      }),

    check: (signal) => communicationsMiningCheck({ baseUrl, lagMs: options.lagMs }, client, signal),
  };
}

function pageOf({ events: records, resources }: QueryAnswer): Page {
  const events: AuditEvent[] = [];
  const poison: Poison[] = [];
  for (const record of records) {
    const { item, value } = readRecord(record, MEMBERS);
    if (isPoison(item)) poison.push(item);
    else events.push({ ...item, record: withResources(record, value, resources) });
  }
  return { events, poison };
}

/** @throws ConfigError when it is no base URL of the API, or goes too far into it */
function apiAddress(baseUrl: string): string {
  const address = baseAddress(baseUrl, BASE_URL_HINT);
  if (!/\/api(?:\/v\d.*)?$/.test(address)) return address;
  throw new ConfigError("source: baseUrl ends in a path of the API, which is added to it", { hint: BASE_URL_HINT });
}
