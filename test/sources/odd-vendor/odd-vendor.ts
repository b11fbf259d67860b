import { z } from "zod";
import type { Source } from "../../../src/source.ts";
import { defineSource, type SourceDefinition, type Surroundings } from "../../../src/sources/define.ts";
import { DAY_MS } from "../../../src/time.ts";
import { nameOfKey } from "../../../src/vocabulary.ts";
import { clientOptions } from "../../support/client.ts";
import { AGENT } from "../../support/pachca.ts";
import { answerWith, serve } from "../../support/serve.ts";
import { CONTRACT_TOKEN, type ApiState } from "../source.contract.ts";

/** What all variants of the odd vendor have in common. It differs from the real vendors in as much as possible. */
const common = {
  about: "The log of a vendor that only tests know.",
  baseUrl: { about: "Where it is.", example: "https://odd.example", hint: "set baseUrl to https://odd.example" },
  token: "A key.",
  requestsPerSecond: 20,
  settings: { tenant: z.string().default("acme").describe("The tenant.") },
  pageLimit: { about: "Events in a page.", default: 50, max: 500 },
  selection: ({ tenant }) => ({ tenant }),
  retentionMs: 30 * DAY_MS,
  lookbackMs: DAY_MS,
  authorize: (token) => ({ "x-api-key": token, "x-api-version": "7" }),
  throttling: {
    isThrottled: ({ status, headers }) => status === 403 && headers["x-ratelimit-remaining"] === "0",
    reset: { header: "x-ratelimit-reset", format: "epoch-seconds" },
  },
  // Whole seconds, both inclusive.
  request: ({ from, to, limit, cursor }, { tenant }) => ({
    path: `/${tenant}/log`,
    query: { since: Math.floor(from / 1000), until: Math.ceil(to / 1000), limit, cursor },
  }),
  members: {
    id: [{ path: "id", format: "integer" }],
    idElse: "content",
    time: [
      { path: "when.epoch", format: "epoch-seconds" },
      { path: "published", format: "iso" },
    ],
    kind: ["action.type", "event"],
  },
  meanings: {
    product: { vendor: "Odd", name: "Log", version: "1" },
    kind: (key) => ({ name: nameOfKey(key), category: "other", severity: 3 }),
    outcome: { at: "outcome.result", success: ["SUCCESS", "ALLOW"], failure: ["FAILURE", "DENY"] },
    severity: { at: "severity", of: { INFO: 2, WARN: 6, ERROR: 8 } },
    actor: { id: "actor_id", name: "actor.name" },
    target: { id: "targets.0.id", type: "targets.0.type" },
    address: "client.ip",
    userAgent: "client.agent.raw",
  },
} as const satisfies Partial<SourceDefinition<string, { tenant: z.ZodDefault<z.ZodString> }>>;

/** Answers are bare arrays; the next page is in a Link header. */
export const oddVendor = defineSource({ ...common, type: "odd-vendor", items: "", next: { link: "next" } });

/** Answers have nested records. The cursor is a number too large for JavaScript, and is sent at the end, too. */
export const oddCursor = defineSource({
  ...common,
  type: "odd-cursor",
  items: "result.entries",
  next: { cursor: "next_stream_position", format: "integer", emptyPage: "ends" },
});

/** The next page is a whole URL in the answer; null at the end. */
export const oddUrl = defineSource({ ...common, type: "odd-url", items: "entries", next: { url: "paging.next" } });

type Changes = Partial<Surroundings>;

/** One of the three variants, for `baseUrl`. */
export function oddAt(
  baseUrl: string,
  definition: Pick<typeof oddVendor, "open"> = oddVendor,
  changes: Changes = {},
): Source {
  const settings = { baseUrl, account: "acme", token: () => CONTRACT_TOKEN, requestsPerSecond: 1000 };
  const surroundings = clientOptions({ userAgent: AGENT, lagMs: 120_000, ...changes });
  return definition.open({ ...settings, pageLimit: 50, tenant: "acme" }, surroundings);
}

/** The part of the API that the contract needs, with a source of the first variant. */
export async function openOdd({ history, mood }: ApiState): Promise<Source> {
  const { baseUrl } = await serve((request, response) => {
    const url = new URL(request.url ?? "", `http://${request.headers.host ?? ""}`);
    const [since, until, limit] = ["since", "until", "limit"].map((name) => Number(url.searchParams.get(name))) as [
      number,
      number,
      number,
    ];
    const start = Number(url.searchParams.get("after") ?? 0);
    const found = history.filter(({ time }) => time >= since * 1000 && time <= until * 1000);
    const records = found.slice(start, start + limit).map(({ id, time }, index) => recordOf(id, time, index));
    const body = `[\n  ${records.join(",\n  ")}\n]`;
    url.searchParams.set("after", String(start + limit));
    const link = start + limit < found.length ? { link: `<${url.href}>; rel="next"` } : undefined;
    const moods: Record<typeof mood, () => void> = {
      away: () => answerWith(response, 503, "try later"),
      refusing: () => answerWith(response, 401, { message: "no such key" }),
      nonsense: () => answerWith(response, 200, "<html>Welcome</html>"),
      well: () => answerWith(response, 200, body, link),
      cut() {
        response.writeHead(200, { "content-length": String(body.length) });
        response.write(body.slice(0, body.length / 2), () => response.destroy());
      },
    };
    moods[mood]();
  });
  return oddAt(baseUrl);
}

/** Every other record has the older format of its time. */
function recordOf(id: string, time: number, index: number): string {
  if (index % 2 === 0) return `{"id":${id},"when":{"epoch":${(time / 1000).toFixed(3)}},"action":{"type":"login"}}`;
  const shifted = new Date(time + 3 * 3_600_000).toISOString().replace("Z", "+03:00");
  return `{"id": ${id}, "published": "${shifted}", "event": "logout"}`;
}
