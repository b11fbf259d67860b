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
  /** Required for everything except `/healthz` and `/readyz`. Without it, anyone who reaches the port can read. */
  readonly token?: Secret | undefined;
}

export interface ServerTiming {
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
  /** A connection without any traffic for this time is closed. */
  readonly idleMs?: number;
}

/** What the server answers from. */
export interface ServerContent {
  /** The current status. */
  readonly document: () => StatusDocument;
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
  readonly page: Page;
}

/** The status page and the files that it loads. */
export interface Page {
  /** The HTML of the page, or of the page of one stream. */
  render(document: StatusDocument, stream?: string): string;
  /** By path, such as `/style.css`. */
  readonly assets: ReadonlyMap<string, { readonly type: string; readonly body: Buffer }>;
}

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers are a few hundred KiB at most, for monitors and people. More connections than this are a mistake. */
const CONNECTIONS_MAX = 100;
const REQUEST_TIMEOUT_MS = 10 * SECOND_MS;
const HEADER_MAX_BYTES = 8 * 1024;

/** The maximum age of an answer. In this time it is made only once, however many clients request it. */
const MAX_AGE_MS = SECOND_MS;

const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/**
 * Serves the worker's status, read-only: `/healthz` (the process is alive), `/readyz` (every stream's last run succeeded and its
 * lag is within the limit; else 503 with the streams and the reasons), `/metrics`, `/status.json` and, at `/`, the status page.
 * Answers are at most a second old. When it listens on loopback, it answers only requests for this machine's own host names.
 * @throws ConfigError when the port is in use or the host is not an address of this machine
 */
export async function serveHealth(
  { host, port, token }: HealthOptions,
  content: ServerContent,
  { now = () => performance.now(), idleMs = REQUEST_TIMEOUT_MS }: ServerTiming = {},
): Promise<HealthServer> {
  const limits = {
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: SECOND_MS,
    maxHeaderSize: HEADER_MAX_BYTES,
  };
  const answerTo = cachedAnswers(content, now);
  const isAllowed = (name: string): boolean => !isLoopback(addressOf(server).address) || isOwnName(name, host);
  const server: Server = createServer(limits, (request, response) => {
    void answer(request, answerTo, token, isAllowed)
      .catch(bug)
      .then(({ code, type, body, headers }) => {
        response.writeHead(code, { ...HEADERS, ...headers, "content-type": type, "content-length": body.length });
        response.end(request.method === "HEAD" ? undefined : body);
      });
  });
  server.maxConnections = CONNECTIONS_MAX;
  // A client that does not read its answer is disconnected: the answer is in our memory until it is read.
  server.timeout = idleMs;
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (cause) {
    throw new ConfigError(`listen on ${host}:${port}: ${(cause as NodeJS.ErrnoException).code ?? "failed"}`, {
      hint: "set another server.host or server.port, or server: false to run without the server",
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

/** Resolves with the answer to a path; `stream` selects a stream at `/`. */
type AnswerTo = (path: string, stream?: string) => Promise<Answer>;

/** Makes each answer, and the document that they show, once in `MAX_AGE_MS`. */
function cachedAnswers({ document, metrics, page }: ServerContent, now: () => number): AnswerTo {
  let since = -Infinity;
  let latest: StatusDocument | undefined;
  const cache = new Map<string, Promise<Answer>>();
  const current = (): StatusDocument => (latest ??= document());
  const make = async (path: string, stream?: string): Promise<Answer> => {
    if (path === "/metrics") return { code: 200, type: metrics.contentType, body: Buffer.from(await metrics.text()) };
    if (path === "/readyz") return readiness(current());
    if (path === "/status.json") return json(200, current());
    return { code: 200, type: "text/html; charset=utf-8", body: Buffer.from(page.render(current(), stream)) };
  };
  return async (path, selected) => {
    const file = page.assets.get(path);
    if (file !== undefined) return { code: 200, ...file };
    if (!PATHS.includes(path)) return json(404, { error: "not found", paths: ["/healthz", ...PATHS] });
    if (now() - since >= MAX_AGE_MS) {
      cache.clear();
      [since, latest] = [now(), undefined];
    }
    // Only names of streams become keys of the cache: a request can contain any text.
    const stream = path === "/" ? current().streams.find((one) => one.stream === selected)?.stream : undefined;
    const key = `${path} ${stream ?? ""}`;
    const made = cache.get(key) ?? make(path, stream);
    cache.set(key, made);
    return made;
  };
}

const PATHS = ["/readyz", "/metrics", "/status.json", "/"];

async function answer(
  { method, url = "/", headers }: IncomingMessage,
  answerTo: AnswerTo,
  token: Secret | undefined,
  isAllowed: (host: string) => boolean,
): Promise<Answer> {
  // No URL parser: a request can contain anything, and an error that the parser throws here would end the worker.
  const [, authority = headers.host, target = ""] = /^(?:https?:\/\/([^/?]*))?(.*)$/is.exec(url) ?? [];
  const [path = "", query = ""] = target.split("?");
  // DNS rebinding: a foreign web page could let its own host name point to this machine, and read the status in a browser here.
  if (authority !== undefined && !isAllowed(authority)) {
    return json(421, { error: "this host name is not allowed: use localhost, or set server.host" });
  }
  if (method !== "GET" && method !== "HEAD") {
    return { ...json(405, { error: "read-only" }), headers: { allow: "GET, HEAD" } };
  }
  if (path === "/healthz") return json(200, { status: "ok" });
  const refusal = path === "/readyz" || token === undefined ? undefined : refusalOf(headers.authorization, token);
  return refusal ?? (await answerTo(path === "" ? "/" : path, new URLSearchParams(query).get("stream") ?? undefined));
}

function isLoopback(name: string): boolean {
  return name === "localhost" || name === "::1" || (isIPv4(name) && name.startsWith("127."));
}

/** Whether a request's host, with or without a port, is loopback or the configured host. */
function isOwnName(requested: string, host: string): boolean {
  const name = requested
    .toLowerCase()
    .replace(/:\d*$/, "")
    .replace(/^\[(.*)\]$/, "$1");
  return isLoopback(name) || name === host.toLowerCase();
}

/** A bug in an answer must be visible and must not end the export. Its message may contain secrets, so it is not shown. */
function bug(error: unknown): Answer {
  return json(500, {
    error: `internal error, please report this bug (${error instanceof Error ? error.name : typeof error})`,
  });
}

/** A worker that has been asked to stop is not ready from that moment on. */
function readiness({ streams, stopping }: StatusDocument): Answer {
  const unready = streams
    .filter(({ state }) => state !== "ok")
    .map(({ stream, state, why, hint, failure }) => ({ stream, state, code: failure?.code ?? null, why, hint }));
  const ready = unready.length === 0 && !stopping;
  return json(ready ? 200 : 503, { ready, stopping, unready });
}

/** Programs send the token as a bearer token; browsers, which ask for a user name and a password, as the password. */
function refusalOf(authorization: string | undefined, token: Secret): Answer | undefined {
  try {
    if (isSame(passwordOf(authorization), token())) return undefined;
  } catch (error) {
    if (!(error instanceof ExporterError)) throw error;
    return json(503, { error: "the token cannot be read: check server.tokenFile" });
  }
  const challenge = 'Basic realm="siem-export", charset="UTF-8", Bearer realm="siem-export"';
  return {
    ...json(401, {
      error: "a token is required: as a bearer token, or in a browser as the password with any user name",
    }),
    headers: { "www-authenticate": challenge },
  };
}

function passwordOf(authorization = ""): string {
  const [, scheme = "", credentials = ""] = /^(\w+) +(\S+)$/.exec(authorization) ?? [];
  if (scheme.toLowerCase() !== "basic") return scheme.toLowerCase() === "bearer" ? credentials : "";
  const userAndPassword = Buffer.from(credentials, "base64").toString();
  return userAndPassword.slice(userAndPassword.indexOf(":") + 1);
}

/** Compares in constant time, which does not even depend on the lengths. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

function json(code: number, body: unknown): Answer {
  return { code, type: "application/json", body: Buffer.from(`${JSON.stringify(body)}\n`) };
}
