import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { inspect } from "node:util";
import { expect } from "vitest";
import { ExporterError } from "../../src/errors.ts";
import type { AuditEvent, Page, Source } from "../../src/source.ts";
import type { Surroundings } from "../../src/sources/define.ts";
import { pachca } from "../../src/sources/pachca/pachca.ts";
import { epochMs, type Span } from "../../src/time.ts";
import { CONTRACT_TOKEN, type ApiState } from "../sources/source.contract.ts";
import { clientOptions } from "./client.ts";
import { answerWith, serve, type Served } from "./serve.ts";

export const AGENT = "siem-export-worker/0.1.0 (+test)";
export const never = new AbortController().signal;
export const span: Span = { from: epochMs(Date.UTC(2026, 10, 20, 10)), to: epochMs(Date.UTC(2026, 10, 20, 10, 5)) };

type Settings = Parameters<typeof pachca.open>[0];

export type Changes = Partial<Settings & Surroundings> & { readonly secret?: () => string };

/** A Pachca source for `baseUrl`, with its own client, for one test. */
export function sourceAt(baseUrl: string, { secret = () => CONTRACT_TOKEN, ...changes }: Changes = {}): Source {
  const settings = { baseUrl, account: "acme", token: secret, requestsPerSecond: 1000, pageLimit: 50, filter: {} };
  const around = { userAgent: AGENT, lagMs: 120_000, ...changes };
  return pachca.open({ ...settings, ownReads: "keep", ...changes }, clientOptions(around));
}

/** Serves `answers` in order, each a body or a listener. Further requests fail. */
export async function inTurn(...answers: readonly (object | string | Buffer | RequestListener)[]): Promise<Served> {
  const left = [...answers];
  return serve((request, response) => {
    const answer = left.shift() ?? ((_: IncomingMessage, last: ServerResponse) => answerWith(last, 500, "no more"));
    if (typeof answer === "function") (answer as RequestListener)(request, response);
    else answerWith(response, 200, answer);
  });
}

/** Answers with this status. */
export function status(code: number, body: unknown, headers: Record<string, string> = {}): RequestListener {
  return (_, response) => answerWith(response, code, body, headers);
}

export const event = (id: string, more: object = {}) => ({
  id,
  created_at: "2026-11-20T10:01:02.345Z",
  event_key: "user_login",
  entity_id: "1",
  details: {},
  user_agent: null,
  ...more,
});

export const page = (ids: readonly string[], paginate: object) => ({
  data: ids.map((id) => event(id)),
  meta: { paginate },
});

export async function pagesOf(source: Source, signal = never): Promise<Page[]> {
  const pages: Page[] = [];
  for await (const found of source.pages(span, signal)) pages.push(found);
  return pages;
}

export async function eventsOf(source: Source): Promise<AuditEvent[]> {
  return (await pagesOf(source)).flatMap(({ events }) => events);
}

export const idsOf = async (source: Source) => (await eventsOf(source)).map(({ id }) => id);

/** The error of a request. No part of it, however deep, may contain the token or the query. */
export async function failure(source: Source): Promise<ExporterError> {
  const error = await pagesOf(source).then(
    () => new Error("ended normally"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ExporterError);
  const text = inspect(error, { depth: Infinity, showHidden: true });
  expect(text).not.toContain(CONTRACT_TOKEN);
  expect(text).not.toContain("start_time=");
  return error as ExporterError;
}

export const queryOf = (request: IncomingMessage | undefined) =>
  Object.fromEntries(new URL(request?.url ?? "", "http://127.0.0.1").searchParams);

/** The part of the API that the contract needs: newest first, inclusive bounds, 50 per page, a cursor that is never null. */
function pachcaApi({ history, mood }: ApiState): RequestListener {
  const newestFirst = [...history].reverse();
  return (request, response) => {
    const moods: Record<string, () => void> = {
      away: () => answerWith(response, 503, "try later"),
      refusing: () => answerWith(response, 401, { error: "invalid_token", error_description: "revoked" }),
      nonsense: () => answerWith(response, 200, "<html>Welcome</html>"),
      well: () => answerWith(response, 200, answerTo(request.url ?? "")),
      cut() {
        const body = answerTo(request.url ?? "");
        response.writeHead(200, { "content-length": String(body.length) });
        response.write(body.slice(0, body.length / 2), () => response.destroy());
      },
    };
    moods[mood]!();
  };
  function answerTo(path: string): string {
    const url = new URL(path, "http://127.0.0.1");
    const at = (name: string) => Date.parse(url.searchParams.get(name) ?? "");
    const found = newestFirst.filter(({ time }) => time >= at("start_time") && time <= at("end_time"));
    const from = Number(url.searchParams.get("cursor") ?? 0);
    const to = Math.min(from + Number(url.searchParams.get("limit")), found.length);
    const data = found.slice(from, to).map(({ id, time }) => event(id, { created_at: new Date(time).toISOString() }));
    const isLog = url.pathname === "/api/shared/v1/audit_events";
    const info = { data: { id: 1, name: null, user_id: 2, scopes: ["audit_events:read"] } };
    return JSON.stringify(
      isLog ? { data, meta: { paginate: { next_page: String(to), has_next: to < found.length } } } : info,
      null,
      2,
    );
  }
}

/** A source for such an API. */
export async function openPachca(state: ApiState): Promise<Source> {
  const { baseUrl } = await serve(pachcaApi(state));
  return sourceAt(`${baseUrl}/api/shared/v1`);
}
