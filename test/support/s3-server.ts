import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { Authority } from "./authority.ts";

/** A request as the server saw it. */
export interface Seen {
  readonly method: string;
  /** Decoded path, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export type Answer = (seen: Seen, response: http.ServerResponse) => void;

/**
 * A real HTTP server with answers that a real S3 does not give on demand. Uses `answers` in order, and repeats the last one.
 * Ends with the test.
 */
export async function serve(answers: Answer | readonly Answer[], tls?: Authority) {
  const seen: Seen[] = [];
  const list = typeof answers === "function" ? [answers] : answers;
  const listener = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? "/", "http://localhost");
    const { method = "", headers } = request;
    seen.push({
      method,
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      headers,
      body: Buffer.concat(chunks),
    });
    list[Math.min(seen.length, list.length) - 1]?.(seen.at(-1)!, response);
  };
  const handle: http.RequestListener = (request, response) => void listener(request, response).catch(() => undefined);
  const server = tls === undefined ? http.createServer(handle) : https.createServer(tls, handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `${tls === undefined ? "http" : "https"}://localhost:${port}`, port, seen };
}

/** An answer with these bytes. */
export const answer =
  (status: number, body: string | Buffer = "", headers: http.OutgoingHttpHeaders = {}): Answer =>
  (_, response) =>
    response.writeHead(status, headers).end(body);

/** An error in the format of S3. */
export const refuse = (status: number, code: string, message = "", headers: http.OutgoingHttpHeaders = {}): Answer =>
  answer(status, `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`, {
    "content-type": "application/xml",
    ...headers,
  });

/** A successful write. */
export const stored = answer(200, "", { etag: '"1"' });

/** A listing of these keys, with the token of the next page. */
export const listing = (keys: readonly string[], next?: string): Answer =>
  answer(
    200,
    `<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><KeyCount>${keys.length}</KeyCount>` +
      `<IsTruncated>${next !== undefined}</IsTruncated>` +
      (next === undefined || next === "" ? "" : `<NextContinuationToken>${next}</NextContinuationToken>`) +
      keys
        .map(
          (key) =>
            `<Contents><Key>${key}</Key><Size>1</Size><LastModified>2026-11-20T10:00:00Z</LastModified></Contents>`,
        )
        .join("") +
      "</ListBucketResult>",
    { "content-type": "application/xml" },
  );
