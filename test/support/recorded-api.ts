import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { answerWith } from "./serve.ts";

interface Entry {
  readonly at: string;
  readonly visibleFrom?: string;
  /** The value for the filter `event_key`. */
  readonly key?: string;
  readonly record?: string;
  readonly recordBase64?: string;
}

/** What both audit APIs served when an archive was made: test/fixtures/archive-0.1/history.json. */
export interface History {
  readonly clocks: { readonly windows: readonly string[]; readonly resume: string };
  readonly pachca: { readonly events: readonly Entry[] };
  readonly uipath: { readonly events: readonly Entry[]; readonly resources: object };
}

export interface RecordedApi {
  /** Also a proxy that resolves every host name to this server: for HTTP_PROXY. */
  readonly url: string;
  /** Sets the `Date` of the answers, and with it which events are visible. */
  setClock(instant: string): void;
  close(): Promise<void>;
}

/** Serves a history as both APIs did, with its own clock. */
export async function recordedApi({ pachca, uipath }: History): Promise<RecordedApi> {
  let clock = 0;
  const visible = (entries: readonly Entry[]) =>
    entries.filter(({ visibleFrom, at }) => Date.parse(visibleFrom ?? at) <= clock);

  /** Newest first, both bounds inclusive. */
  function pachcaPage(query: URLSearchParams): Buffer {
    const [from, to] = ["start_time", "end_time"].map((name) => Date.parse(query.get(name) ?? "")) as [number, number];
    const kind = query.get("event_key");
    const found = visible(pachca.events)
      .filter(({ at, key }) => Date.parse(at) >= from && Date.parse(at) <= to && (kind === null || key === kind))
      .sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
    const start = Number(query.get("cursor") ?? 0);
    const end = start + Math.min(Number(query.get("limit")), 50);
    const paginate = { next_page: String(end), has_next: end < found.length };
    return pageOf("data", found.slice(start, end), { meta: { paginate } });
  }

  function miningPage(body: string): Buffer {
    const { limit = 128, continuation, filter } = JSON.parse(body) as MiningQuery;
    const [from, to] = [Date.parse(filter.timestamp.minimum), Date.parse(filter.timestamp.maximum)];
    const found = visible(uipath.events).filter(({ at }) => Date.parse(at) >= from && Date.parse(at) < to);
    const start = Number(continuation ?? 0);
    const next = start + limit < found.length ? { continuation: String(start + limit) } : {};
    const rest = { ...uipath.resources, status: "ok", ...next };
    return pageOf("audit_events", found.slice(start, start + limit), rest);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://any.example");
    const body = await text(request);
    const send = (status: number, page: unknown) =>
      answerWith(response, status, page, { date: new Date(clock).toUTCString() });
    if (url.pathname.endsWith("/oauth/token/info")) {
      send(200, { data: { id: 1, name: "audit", user_id: 7, scopes: ["audit_events:read"] } });
    } else if (url.pathname.endsWith("/api/v1/audit_events/query")) send(200, miningPage(body));
    else if (url.pathname.endsWith("/audit_events")) send(200, pachcaPage(url.searchParams));
    else send(404, {});
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.on("connect", (_, socket) => {
    socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    server.emit("connection", socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    setClock: (instant) => void (clock = Date.parse(instant)),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

interface MiningQuery {
  readonly limit?: number;
  readonly continuation?: string;
  readonly filter: { readonly timestamp: { readonly minimum: string; readonly maximum: string } };
}

/** One answer: the records byte for byte in a list, and further members. */
function pageOf(list: string, entries: readonly Entry[], rest: object): Buffer {
  const records = entries.map(({ record, recordBase64 = "" }) =>
    record === undefined ? Buffer.from(recordBase64, "base64") : Buffer.from(record),
  );
  const items = records.flatMap((record, index) => (index === 0 ? [record] : [Buffer.from(", "), record]));
  return Buffer.concat([Buffer.from(`{"${list}":[`), ...items, Buffer.from(`],${JSON.stringify(rest).slice(1)}`)]);
}
