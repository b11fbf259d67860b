import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { StatusDocument } from "./document.ts";
import { ConfigError, ExporterError } from "./errors.ts";
import type { Secret } from "./secret.ts";
import { SECOND_MS } from "./time.ts";

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface HealthOptions {
  readonly host: string;
  readonly port: number;
  /** Asked for everything but health; without it whoever reaches the port may read. */
  readonly token?: Secret | undefined;
}

/** What there is to tell. */
export interface Telling {
  /** The status now. */
  readonly document: () => StatusDocument;
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
  readonly page: Page;
}

/** The status page, and the files that it asks for. */
export interface Page {
  /** The page, or that of one stream. */
  render(document: StatusDocument, stream?: string): string;
  /** By path, such as `/page.css`. */
  readonly assets: ReadonlyMap<string, { readonly type: string; readonly body: Buffer }>;
}

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer is a few hundred KiB at most, asked for by a monitor or a person: more than this is somebody's mistake. */
const CONNECTIONS_MAX = 100;
const REQUEST_TIMEOUT_MS = 10 * SECOND_MS;
const HEADER_MAX_BYTES = 8 * 1024;

const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/**
 * Tells how the worker does, read-only: `/healthz` (the process turns over), `/readyz` (each stream's last tick succeeded and
 * its lag is under its limit; else 503 and which is not, and why), `/metrics`, `/status.json` and, at `/`, the page.
 * @throws ConfigError when the port is taken or the host is not this machine's
 */
export async function serveHealth({ host, port, token }: HealthOptions, telling: Telling): Promise<HealthServer> {
  const limits = {
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: SECOND_MS,
    maxHeaderSize: HEADER_MAX_BYTES,
  };
  const server: Server = createServer(limits, (request, response) => {
    void answer(request, telling, token)
      .catch(failed)
      .then(({ code, type, body, headers }) => {
        response.writeHead(code, { ...HEADERS, ...headers, "content-type": type });
        response.end(request.method === "HEAD" ? undefined : body);
      });
  });
  server.maxConnections = CONNECTIONS_MAX;
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (cause) {
    throw new ConfigError(`listen on ${host}:${port}: ${(cause as NodeJS.ErrnoException).code ?? "failed"}`, {
      hint: "give server another host or port, or server: false to go without",
      cause,
    });
  }
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function answer(request: IncomingMessage, telling: Telling, token: Secret | undefined): Promise<Answer> {
  // Taken as it stands: a request can name anything, and what a URL parser throws here would end the worker.
  const [path = "/", query = ""] = (request.url ?? "/").split("?");
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { ...json(405, { error: "read-only" }), headers: { allow: "GET, HEAD" } };
  }
  if (path === "/healthz") return json(200, { status: "ok" });
  if (path === "/readyz") return readiness(telling.document());
  const refusal = token === undefined ? undefined : refusalOf(request.headers.authorization, token);
  return refusal ?? (await told(path, query, telling));
}

/** A bug in what is shown must be seen, and must not end the export. Its text may hold anything: it is not shown. */
function failed(error: unknown): Answer {
  return json(500, { error: `a bug; please report it (${error instanceof Error ? error.name : typeof error})` });
}

async function told(path: string, query: string, { document, metrics, page }: Telling): Promise<Answer> {
  const file = page.assets.get(path);
  if (file !== undefined) return { code: 200, ...file };
  switch (path) {
    case "/": {
      const stream = new URLSearchParams(query).get("stream") ?? undefined;
      return { code: 200, type: "text/html; charset=utf-8", body: page.render(document(), stream) };
    }
    case "/status.json":
      return json(200, document());
    case "/metrics":
      return { code: 200, type: metrics.contentType, body: await metrics.text() };
    default:
      return json(404, { error: "not found", paths: ["/healthz", "/readyz", "/metrics", "/status.json", "/"] });
  }
}

/** A worker that was asked to stop is not ready, before anything else of it ends. */
function readiness({ streams, stopping }: StatusDocument): Answer {
  const unready = streams
    .filter(({ state }) => state !== "ok")
    .map(({ stream, state, why, hint, failure }) => ({ stream, state, code: failure?.code ?? null, why, hint }));
  const ready = unready.length === 0 && !stopping;
  return json(ready ? 200 : 503, { ready, stopping, unready });
}

/** A program sends the token as a bearer's; a browser, which asks for a user and a password, as the password. */
function refusalOf(authorization: string | undefined, token: Secret): Answer | undefined {
  try {
    if (isSame(passwordOf(authorization), token())) return undefined;
  } catch (error) {
    if (!(error instanceof ExporterError)) throw error;
    return json(503, { error: "the token cannot be read; see the configuration's server.tokenFile" });
  }
  const challenge = 'Basic realm="siem-export", charset="UTF-8", Bearer realm="siem-export"';
  return {
    ...json(401, { error: "a token is needed: as a bearer's, or in a browser as the password of any user" }),
    headers: { "www-authenticate": challenge },
  };
}

function passwordOf(authorization = ""): string {
  const [, scheme = "", credentials = ""] = /^(\w+) +(\S+)$/.exec(authorization) ?? [];
  if (scheme.toLowerCase() !== "basic") return scheme.toLowerCase() === "bearer" ? credentials : "";
  const userAndPassword = Buffer.from(credentials, "base64").toString();
  return userAndPassword.slice(userAndPassword.indexOf(":") + 1);
}

/** In a time that says nothing of either: not even how long they are. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

function json(code: number, body: unknown): Answer {
  return { code, type: "application/json", body: `${JSON.stringify(body)}\n` };
}
