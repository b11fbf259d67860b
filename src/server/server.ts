import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { isIPv4, type AddressInfo } from "node:net";
import type { StatusDocument } from "../status/status-document.ts";
import { ConfigError, ExporterError } from "../errors.ts";
import type { Secret } from "../config/values/secret.ts";
import { SECOND_MS } from "../time.ts";

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

export interface Pace {
  /** A clock that only moves forward, in milliseconds. */
  readonly now?: () => number;
  /** A connection on which nothing moves for so long is closed. */
  readonly patienceMs?: number;
}

/** What the server answers from. */
export interface ServerContent {
  /** The current status. */
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
  readonly body: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer is a few hundred KiB at most, asked for by a monitor or a person: more than this is somebody's mistake. */
const CONNECTIONS_MAX = 100;
const REQUEST_TIMEOUT_MS = 10 * SECOND_MS;
const HEADER_MAX_BYTES = 8 * 1024;

/** So old may an answer be: however many ask, it is made once in this time, and its bytes are there once. */
const KEPT_MS = SECOND_MS;

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
 * its lag is under its limit; else 503 and which is not, and why), `/metrics`, `/status.json` and, at `/`, the page. What is
 * told was so within the last second. On loopback it answers to this machine's own names alone.
 * @throws ConfigError when the port is taken or the host is not this machine's
 */
export async function serveHealth(
  { host, port, token }: HealthOptions,
  content: ServerContent,
  { now = () => performance.now(), patienceMs = REQUEST_TIMEOUT_MS }: Pace = {},
): Promise<HealthServer> {
  const limits = {
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: SECOND_MS,
    maxHeaderSize: HEADER_MAX_BYTES,
  };
  const tell = teller(content, now);
  const isOurs = (asked: string): boolean => !isLoopback(addressOf(server).address) || isOwnName(asked, host);
  const server: Server = createServer(limits, (request, response) => {
    void answer(request, tell, token, isOurs)
      .catch(failed)
      .then(({ code, type, body, headers }) => {
        response.writeHead(code, { ...HEADERS, ...headers, "content-type": type, "content-length": body.length });
        response.end(request.method === "HEAD" ? undefined : body);
      });
  });
  server.maxConnections = CONNECTIONS_MAX;
  // Who asks and does not read is let go: what is not read waits in our memory.
  server.timeout = patienceMs;
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
    port: addressOf(server).port,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function addressOf(server: Server): AddressInfo {
  return server.address() as AddressInfo;
}

/** Resolves with the answer of a path, and at `/` of a stream. */
type Tell = (path: string, stream?: string) => Promise<Answer>;

/** Tells by path, each answer and the document behind it made once in `KEPT_MS`. */
function teller({ document, metrics, page }: ServerContent, now: () => number): Tell {
  let since = -Infinity;
  let shown: StatusDocument | undefined;
  const kept = new Map<string, Promise<Answer>>();
  const current = (): StatusDocument => (shown ??= document());
  const make = async (path: string, stream?: string): Promise<Answer> => {
    if (path === "/metrics") return { code: 200, type: metrics.contentType, body: Buffer.from(await metrics.text()) };
    if (path === "/readyz") return readiness(current());
    if (path === "/status.json") return json(200, current());
    return { code: 200, type: "text/html; charset=utf-8", body: Buffer.from(page.render(current(), stream)) };
  };
  return async (path, asked) => {
    const file = page.assets.get(path);
    if (file !== undefined) return { code: 200, ...file };
    if (!PATHS.includes(path)) return json(404, { error: "not found", paths: ["/healthz", ...PATHS] });
    if (now() - since >= KEPT_MS) {
      kept.clear();
      [since, shown] = [now(), undefined];
    }
    // What is asked for can be anything; the streams are few.
    const stream = path === "/" ? current().streams.find((one) => one.stream === asked)?.stream : undefined;
    const key = `${path} ${stream ?? ""}`;
    const told = kept.get(key) ?? make(path, stream);
    kept.set(key, told);
    return told;
  };
}

const PATHS = ["/readyz", "/metrics", "/status.json", "/"];

async function answer(
  { method, url = "/", headers }: IncomingMessage,
  tell: Tell,
  token: Secret | undefined,
  isOurs: (host: string) => boolean,
): Promise<Answer> {
  // Taken as it stands: a request can name anything, and what a URL parser throws here would end the worker.
  const [, authority = headers.host, target = ""] = /^(?:https?:\/\/([^/?]*))?(.*)$/is.exec(url) ?? [];
  const [path = "", query = ""] = target.split("?");
  // A page elsewhere can let its own name point to this machine, and would read what a browser here reads.
  if (authority !== undefined && !isOurs(authority)) {
    return json(421, { error: "asked by a name that is not this machine's: use localhost, or server.host" });
  }
  if (method !== "GET" && method !== "HEAD") {
    return { ...json(405, { error: "read-only" }), headers: { allow: "GET, HEAD" } };
  }
  if (path === "/healthz") return json(200, { status: "ok" });
  const refusal = path === "/readyz" || token === undefined ? undefined : refusalOf(headers.authorization, token);
  return refusal ?? (await tell(path === "" ? "/" : path, new URLSearchParams(query).get("stream") ?? undefined));
}

function isLoopback(name: string): boolean {
  return name === "localhost" || name === "::1" || (isIPv4(name) && name.startsWith("127."));
}

/** Whether a request's host, with or without a port, is loopback or the host that we were told to listen on. */
function isOwnName(asked: string, host: string): boolean {
  const name = asked
    .toLowerCase()
    .replace(/:\d*$/, "")
    .replace(/^\[(.*)\]$/, "$1");
  return isLoopback(name) || name === host.toLowerCase();
}

/** A bug in what is shown must be seen, and must not end the export. Its text may hold anything: it is not shown. */
function failed(error: unknown): Answer {
  return json(500, { error: `a bug; please report it (${error instanceof Error ? error.name : typeof error})` });
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
  return { code, type: "application/json", body: Buffer.from(`${JSON.stringify(body)}\n`) };
}
