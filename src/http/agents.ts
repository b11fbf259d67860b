import http from "node:http";
import https from "node:https";
import tls from "node:tls";
import type { Duplex } from "node:stream";
import { HttpProxyAgent, HttpsProxyAgent } from "hpagent";
import { readCertificates } from "../config/values/certificates.ts";
import { ConfigError } from "../errors.ts";

export interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

export interface AgentOptions {
  /** A PEM file of certificate authorities to trust besides those of the system. */
  readonly caFile?: string | undefined;
  /** Where HTTPS_PROXY, HTTP_PROXY, NO_PROXY (lower case first, as curl does) and NODE_EXTRA_CA_CERTS are read. */
  readonly env: Environment;
  /** Connections to one host at once. */
  readonly maxSockets?: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;
type Connected = (error: Error | null, socket?: Duplex) => void;

/** What Node hands to `createConnection`: enough of it to know where the request goes. */
interface Target {
  readonly host?: string | null | undefined;
  readonly port?: number | string | null | undefined;
}

/** A proxy that takes the connection and then says nothing must not hold a request for ever. */
const PROXY_CONNECT_TIMEOUT_MS = 30_000;
const MAX_SOCKETS = 50;

/**
 * Agents that keep connections alive, trust the system's certificate authorities and those of `caFile`, and go through
 * the proxy of the environment where it asks for one. The way is chosen for each connection by its target, by
 * {@link proxyFor}, because the host of a request (`bucket.s3.…`) is known only then.
 *
 * Requests to a proxy use CONNECT, for plain HTTP targets too.
 *
 * @throws ConfigError when `caFile` cannot be read as certificates, or a proxy is not an http or https URL
 */
export function createAgents({ caFile, env, maxSockets = MAX_SOCKETS }: AgentOptions): Agents {
  const authorities = caFile === undefined ? undefined : readAuthorities(caFile, env);
  // Made once: with a plain `ca` option, Node would parse some 150 certificates again for each connection.
  const secureContext = authorities && tls.createSecureContext({ ca: authorities });
  const plain = new http.Agent({ keepAlive: true, maxSockets });
  const secure = new https.Agent({ keepAlive: true, maxSockets, ...(secureContext && { secureContext }) });

  const plainProxy = proxyOf("http:", env);
  if (plainProxy !== undefined) {
    const proxied = new HttpProxyAgent({ keepAlive: true, proxy: plainProxy, ...trust(authorities) });
    routeThrough(plain, proxied, plainProxy, (target) => proxyFor(urlOf("http:", target), env) !== undefined);
  }
  const secureProxy = proxyOf("https:", env);
  if (secureProxy !== undefined) {
    const proxied = new HttpsProxyAgent({ keepAlive: true, proxy: secureProxy, ...trust(authorities) });
    routeThrough(secure, proxied, secureProxy, (target) => proxyFor(urlOf("https:", target), env) !== undefined);
  }
  return { http: plain, https: secure };
}

/**
 * The proxy that a request to `url` goes through, or undefined when it goes straight. NO_PROXY is a list, by commas or
 * white space, of `*` (everything), names (`example.com`, `.example.com` and `*.example.com` are the same: the name and
 * all below it) and addresses, each with an optional `:port`; ranges of addresses are not understood. Nothing is exempt
 * unless listed, loopback included.
 */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const proxy = proxyOf(url.protocol, env);
  if (proxy === undefined) return undefined;
  const host = bareHost(url.hostname);
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  const exempt = (read(env, "no_proxy") ?? "")
    .split(/[\s,]+/)
    .some((rule) => rule !== "" && exempts(rule.toLowerCase(), host, port));
  return exempt ? undefined : proxy;
}

function exempts(rule: string, host: string, port: string): boolean {
  if (rule === "*") return true;
  // An IPv6 address has colons of its own: only a bracketed one can carry a port.
  const [, name = rule, rulePort] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(rule) ?? [];
  if (rulePort !== undefined && rulePort !== port) return false;
  const suffix = bareHost(name).replace(/^\*?\./, "");
  return suffix !== "" && (host === suffix || host.endsWith(`.${suffix}`));
}

function proxyOf(protocol: string, env: Environment): URL | undefined {
  const name = protocol === "https:" ? "https_proxy" : "http_proxy";
  const text = read(env, name);
  if (text === undefined) return undefined;
  const hint = `set ${name.toUpperCase()} to a URL such as http://proxy.example.com:3128`;
  // The value may hold a password, so it is not shown.
  if (!URL.canParse(withScheme(text))) throw new ConfigError(`read ${name.toUpperCase()}: not a URL`, { hint });
  const proxy = new URL(withScheme(text));
  if (proxy.protocol === "http:" || proxy.protocol === "https:") return proxy;
  throw new ConfigError(`read ${name.toUpperCase()}: ${proxy.protocol}// proxies are not supported`, { hint });
}

const withScheme = (text: string) => (text.includes("://") ? text : `http://${text}`);

function read(env: Environment, name: string): string | undefined {
  const text = (env[name] ?? env[name.toUpperCase()] ?? "").trim();
  return text === "" ? undefined : text;
}

const bareHost = (host: string) =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");

function urlOf(protocol: string, { host, port }: Target): URL {
  const name = host ?? "localhost";
  return new URL(`${protocol}//${name.includes(":") ? `[${name}]` : name}:${port ?? ""}`);
}

/** Lets `agent`, which keeps the pool, open through `proxied` the connections that `applies` picks. */
function routeThrough(agent: http.Agent, proxied: http.Agent, proxy: URL, applies: (target: Target) => boolean): void {
  const straight = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    if (!applies(options)) return straight(options, callback);
    const connected: Connected = (error, socket) => {
      callback?.(error === null ? null : proxyFailure(error, proxy), socket as Duplex);
    };
    return proxied.createConnection({ ...options, timeout: PROXY_CONNECT_TIMEOUT_MS }, connected);
  };
}

/** Says that it was the proxy: without that, "Bad response: 407" would be looked for at the other end. */
function proxyFailure(cause: Error & { code?: string }, proxy: URL): Error {
  const error = new Error(`proxy ${proxy.host}: ${cause.message}`, { cause });
  return Object.assign(error, { code: cause.code ?? "EPROXY" });
}

const trust = (ca: string[] | undefined) => (ca === undefined ? {} : { proxyRequestOptions: { ca } });

function readAuthorities(caFile: string, env: Environment): string[] {
  // A list of one's own replaces that of Node, including the authorities of NODE_EXTRA_CA_CERTS.
  const extra = read(env, "NODE_EXTRA_CA_CERTS");
  return [
    ...tls.rootCertificates,
    ...(extra === undefined ? [] : [readCertificates(extra, "NODE_EXTRA_CA_CERTS")]),
    readCertificates(caFile, "caFile"),
  ];
}
