import { epochMs, type Span } from "../../src/time.ts";
import type { Simulator } from "../../src/simulator/simulator.ts";

export interface Event {
  readonly id: string;
  readonly created_at: string;
  readonly event_key: string;
  readonly entity_id: string;
  readonly entity_type: string;
  readonly actor_id: string;
  readonly actor_type: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly ip_address: string | null;
  readonly user_agent: string | null;
}

export interface Paginate {
  readonly next_page: string;
  readonly prev_page: string;
  readonly has_next: boolean;
  readonly has_prev: boolean;
}

export interface Page {
  readonly text: string;
  readonly data: readonly Event[];
  readonly paginate: Paginate;
}

type Parameters = Readonly<Record<string, string | number>>;

/** One request to `path` (with its query) with the token. */
export function ask({ url, access }: Simulator, path: string, options: RequestInit = {}): Promise<Response> {
  const headers = {
    authorization: `Bearer ${access.token}`,
    ...(options.headers as Record<string, string> | undefined),
  };
  return fetch(`${url}${path}`, { ...options, headers });
}

export function query(parameters: Parameters): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) search.set(name, String(value));
  return search.toString();
}

/** One page; the answer must be 200. */
export async function pageOf(simulator: Simulator, parameters: Parameters = {}): Promise<Page> {
  const response = await ask(simulator, `/audit_events?${query(parameters)}`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  const { data, meta } = JSON.parse(text) as { data: Event[]; meta: { paginate: Paginate } };
  return { text, data, paginate: meta.paginate };
}

/** All pages, one after another. */
export async function walk(simulator: Simulator, parameters: Parameters = {}): Promise<Page[]> {
  const pages = [await pageOf(simulator, parameters)];
  for (let last = pages[0]; last?.paginate.has_next === true; last = pages.at(-1)) {
    pages.push(await pageOf(simulator, { ...parameters, cursor: last.paginate.next_page }));
  }
  return pages;
}

/** The parameters for `span`; the vendor's end is inclusive. */
export function bounds({ from, to }: Span): { start_time: string; end_time: string } {
  return { start_time: new Date(from).toISOString(), end_time: new Date(to - 1).toISOString() };
}

/** A span some days ago, in working hours and within the retention. */
export function pastSpan(minutes: number): Span {
  const day = new Date(Date.now() - 5 * 86_400_000);
  const from = Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate(), 10);
  return { from: epochMs(from), to: epochMs(from + minutes * 60_000) };
}

export const linesOf = (records: Iterable<Buffer>): string[] => Array.from(records, (record) => record.toString());

export interface MiningEvent {
  readonly event_id: string;
  readonly event_type: string;
  readonly timestamp: string;
  readonly actor_user_id: string;
  readonly actor_tenant_id?: string;
  readonly tenant_ids: readonly string[];
  readonly [more: string]: unknown;
}

export interface MiningPage {
  readonly text: string;
  readonly status: string;
  readonly audit_events: readonly MiningEvent[];
  readonly continuation?: string;
  readonly [more: string]: unknown;
}

/** One query of the log of Communications Mining with the token; `path` follows the base URL. */
export function queryMining(
  { mining, access }: Simulator,
  body: unknown = {},
  { path = "/api/v1/audit_events/query", ...options }: RequestInit & { path?: string } = {},
): Promise<Response> {
  const headers = {
    authorization: `Bearer ${access.token}`,
    ...(options.headers as Record<string, string> | undefined),
  };
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return fetch(`${mining.url}${path}`, { method: "POST", body: text, ...options, headers });
}

/** All pages, one after another; each answer must be 200 and `ok`. */
export async function walkMining(simulator: Simulator, query: object): Promise<MiningPage[]> {
  const pages: MiningPage[] = [];
  for (let continuation: string | undefined; ;) {
    const response = await queryMining(simulator, { ...query, continuation });
    const text = await response.text();
    const page = { ...(JSON.parse(text) as MiningPage), text };
    if (response.status !== 200 || page.status !== "ok") throw new Error(`${response.status}: ${text}`);
    pages.push(page);
    if (page.continuation === undefined) return pages;
    continuation = page.continuation;
  }
}

export const idsOf = (pages: readonly MiningPage[]): string[] =>
  pages.flatMap(({ audit_events }) => audit_events.map(({ event_id }) => event_id));

/** The filter for the true times of `span`, extended by this much on both sides. */
export function trueTimes({ from, to }: Span, slackMs = 0): object {
  const timestamp = {
    minimum: new Date(from - slackMs).toISOString(),
    maximum: new Date(to + slackMs).toISOString(),
  };
  return { filter: { timestamp } };
}
