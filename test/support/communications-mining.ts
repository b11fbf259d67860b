import { createHash } from "node:crypto";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { Source } from "../../src/source.ts";
import { communicationsMining } from "../../src/sources/communications-mining/communications-mining.ts";
import type { Surroundings } from "../../src/sources/define.ts";
import { epochMs, formatInstant, type EpochMs } from "../../src/time.ts";
import { CONTRACT_TOKEN, type ApiState } from "../sources/source.contract.ts";
import { clientOptions } from "./client.ts";
import { AGENT, status } from "./pachca.ts";
import { answerWith, serve, type Served } from "./serve.ts";

type Settings = Parameters<typeof communicationsMining.open>[0];

export type Changes = Partial<Settings & Surroundings> & { readonly secret?: () => string };

/** A Communications Mining source for `baseUrl`, with its own client, for one test. */
export function sourceAt(baseUrl: string, { secret = () => CONTRACT_TOKEN, ...changes }: Changes = {}): Source {
  const settings = { baseUrl, account: "acme", token: secret, requestsPerSecond: 1000, pageLimit: 128 };
  const around = { userAgent: AGENT, lagMs: 120_000, ...changes };
  return communicationsMining.open({ ...settings, ...changes }, clientOptions(around));
}

/** The body of a request. */
export interface Query {
  readonly limit?: number;
  readonly continuation?: string;
  readonly filter: { readonly timestamp: { readonly minimum: string; readonly maximum: string } };
}

export interface ServedQueries extends Served {
  /** The requests so far, in order. */
  readonly queries: readonly Query[];
}

type AnswerQuery = (query: Query, response: ServerResponse, request: IncomingMessage) => void;

export async function serveQueries(answer: AnswerQuery): Promise<ServedQueries> {
  const queries: Query[] = [];
  const served = await serve((request, response) => {
    void text(request).then((body) => {
      const query = JSON.parse(body) as Query;
      queries.push(query);
      answer(query, response, request);
    });
  });
  return { ...served, queries };
}

/** Serves `answers` in order, each a body or a listener. Further requests fail. */
export async function inTurn(
  ...answers: readonly (object | string | Buffer | RequestListener)[]
): Promise<ServedQueries> {
  const left = [...answers];
  return serveQueries((_, response, request) => {
    const answer = left.shift() ?? status(500, "no more");
    if (typeof answer === "function") (answer as RequestListener)(request, response);
    else answerWith(response, 200, answer);
  });
}

export const event = (id: string, more: object = {}) => ({
  event_id: id,
  event_type: "get_datasets",
  timestamp: "2026-11-20T10:01:02Z",
  actor_user_id: "u1",
  actor_tenant_id: "t1",
  tenant_ids: ["t1"],
  ...more,
});

export const page = (ids: readonly string[], more: object = {}) => ({
  status: "ok",
  audit_events: ids.map((id) => event(id)),
  tenants: [],
  ...more,
});

/** An event with its exact time: the API shows the rounded time. */
export interface Happened {
  readonly id: string;
  readonly time: EpochMs;
}

export interface MiningLog {
  readonly history: readonly Happened[];
  /** The time that the filter uses, which the vendor does not document. */
  readonly foundBy?: "happened" | "shown";
  readonly shown?: (time: EpochMs) => string;
}

/** To the nearest second. */
export const rounded = (time: EpochMs): EpochMs => epochMs(Math.round(time / 1000) * 1000);

/** The API as far as it is known: half-open bounds, unordered pages, the last id as continuation, none at the end. */
export function answerTo(log: MiningLog, { limit = 128, continuation, filter }: Query): object {
  const { history, foundBy = "happened", shown = (time: EpochMs) => formatInstant(rounded(time)) } = log;
  const [from, to] = [Date.parse(filter.timestamp.minimum), Date.parse(filter.timestamp.maximum)];
  const found = history
    .map(({ id, time }) => ({ id, time, by: foundBy === "shown" ? rounded(time) : time }))
    .filter(({ by }) => by >= from && by < to)
    .sort((one, other) => (scattered(one.id) < scattered(other.id) ? -1 : 1));
  const start = continuation === undefined ? 0 : found.findIndex(({ id }) => id === continuation) + 1;
  const events = found.slice(start, start + limit);
  return {
    audit_events: events.map(({ id, time }) => event(id, { timestamp: shown(time), dataset_ids: ["d1", "gone"] })),
    continuation: start + limit < found.length ? events.at(-1)!.id : undefined,
    datasets: [{ id: "d1", name: "acme/complaints", title: "Complaints", project_id: "p1" }],
    status: "ok",
    tenants: [{ id: "t1", name: "acme" }],
    users: [{ id: "u1", tenant_id: "t1", username: "ada", email: "ada@acme.example", display_name: "Ada" }],
  };
}

/** A stable order that does not depend on time. */
const scattered = (id: string) => createHash("sha256").update(id).digest("hex");

/** A source for such an API. */
export async function openMining({ history, mood }: ApiState): Promise<Source> {
  // The suite's own times have milliseconds, and so does this API.
  const shown = (time: number) => new Date(time).toISOString();
  const { baseUrl } = await serveQueries((query, response) => {
    const body = JSON.stringify(answerTo({ history, shown }, query), null, 2);
    const moods: Record<typeof mood, () => void> = {
      away: () => answerWith(response, 503, "try later"),
      refusing: () => answerWith(response, 401, { status: "error", message: "401 Unauthorized" }),
      nonsense: () => answerWith(response, 200, "<html>Welcome</html>"),
      well: () => answerWith(response, 200, body),
      cut() {
        response.writeHead(200, { "content-length": String(body.length) });
        response.write(body.slice(0, body.length / 2), () => response.destroy());
      },
    };
    moods[mood]();
  });
  return sourceAt(`${baseUrl}/acme/prod/reinfer_`, { pageLimit: 50 });
}
