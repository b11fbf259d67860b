import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { readCertificates } from "../config/values/certificates.ts";
import { ConfigError } from "../errors.ts";
import { SECOND_MS } from "../time.ts";
import { proxyError } from "./errors.ts";
import { withTimeLimit } from "./time-limit.ts";

export interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

export interface AgentOptions {
  /** A PEM file of certificate authorities to trust in addition to those of the system, for targets and for proxies. */
  readonly caFile?: string | undefined;
  /** Where HTTPS_PROXY, HTTP_PROXY, NO_PROXY (lower case first, like curl) and NODE_EXTRA_CA_CERTS are read. */
  readonly env: Environment;
  /** The most connections to one host at the same time. */
  readonly maxSockets?: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The part of the options of a request, or of a connection, that names the target. */
interface Target {
  readonly host?: string | null | undefined;
  readonly port?: number | string | null | undefined;
}

/** `addRequest` is not documented, but Node calls it for each request, before it writes the request's head. */
interface RequestingAgent {
  addRequest(request: http.ClientRequest, options: Target): void;
}

/** Without this limit, a proxy that accepts the connection and then does not answer would hold a request for ever. */
const PROXY_TIMEOUT_MS = 30 * SECOND_MS;
const MAX_SOCKETS = 50;

/**
 * Agents that keep connections alive, trust the system's certificate authorities and those of `caFile`, and use the proxy of
 * the environment. {@link proxyFor} decides for each request by its target, because some hosts (`bucket.s3.…`) are known only then.
 *
 * No package does this: proxy-agent knows no ranges in NO_PROXY, takes a proxy's refusal of CONNECT for the target's answer
 * (a 403 would read as a missing scope of the token), and has no time limit; hpagent fails with IPv6 addresses.
 *
 * @throws ConfigError when `caFile` cannot be read as certificates, or a proxy is not an http or https URL
 */
export function createAgents({ caFile, env, maxSockets = MAX_SOCKETS }: AgentOptions): Agents {
  // Created once: with the option `ca`, Node would parse some 150 certificates again for each connection.
  const secureContext = caFile === undefined ? undefined : tls.createSecureContext({ ca: authorities(caFile, env) });
  const trust = secureContext === undefined ? {} : { secureContext };
  const agents = {
    http: new http.Agent({ keepAlive: true, maxSockets }),
    https: new https.Agent({ keepAlive: true, maxSockets, ...trust }),
  };
  if (proxyOf("http:", env) !== undefined)
    forward(agents.http, (target) => proxyFor(urlOf("http:", target), env), trust);
  if (proxyOf("https:", env) !== undefined)
    tunnel(agents.https, (target) => proxyFor(urlOf("https:", target), env), trust);
  return agents;
}

function authorities(caFile: string, env: Environment): string[] {
  // A list of our own replaces that of Node, including the authorities of NODE_EXTRA_CA_CERTS.
  const extra = read(env, "NODE_EXTRA_CA_CERTS");
  return [
    ...tls.rootCertificates,
    ...(extra === undefined ? [] : [readCertificates(extra, "NODE_EXTRA_CA_CERTS")]),
    readCertificates(caFile, "caFile"),
  ];
}

/**
 * The proxy for requests to `url`, or undefined when they go directly. NO_PROXY is a list, separated by commas or white
 * space. An entry is `*` (everything), a name (`example.com`, `.example.com` and `*.example.com` all mean the name and
 * its subdomains), an address, or a range of addresses (`10.0.0.0/8`, `fd00::/8`). Names, addresses and `*` can have a
 * `:port`. Names are not resolved, and only what is listed is exempt: loopback is not exempt by itself.
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
  const range = /^\[?([\d.]+|[\da-f:.]*:[\da-f:.]*)\]?\/(\d{1,3})$/.exec(rule);
  if (range !== null) return isInRange(host, range[1] ?? "", Number(range[2]));
  // An IPv6 address has colons of its own: only one in brackets can have a port.
  const [, name = rule, rulePort] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(rule) ?? [];
  if (rulePort !== undefined && rulePort !== port) return false;
  if (name === "*") return true;
  const suffix = bareHost(name).replace(/^\*?\./, "");
  return suffix !== "" && (host === suffix || host.endsWith(`.${suffix}`));
}

function isInRange(host: string, first: string, prefix: number): boolean {
  const family = net.isIP(first);
  if (family === 0 || family !== net.isIP(host) || prefix > (family === 4 ? 32 : 128)) return false;
  const range = new net.BlockList();
  range.addSubnet(first, prefix, `ipv${family}` as net.IPVersion);
  return range.check(host, `ipv${family}` as net.IPVersion);
}

function proxyOf(protocol: string, env: Environment): URL | undefined {
  const name = protocol === "https:" ? "https_proxy" : "http_proxy";
  const text = read(env, name);
  if (text === undefined) return undefined;
  const refuse = (problem: string) =>
    // The value may contain a password, so the message does not show it.
    new ConfigError(`read ${name.toUpperCase()}: ${problem}`, {
      hint: `set ${name.toUpperCase()} to a URL such as http://proxy.example.com:3128`,
    });
  const url = text.includes("://") ? text : `http://${text}`;
  if (!URL.canParse(url)) throw refuse("not a URL");
  const proxy = new URL(url);
  if (!/^https?:$/.test(proxy.protocol)) throw refuse(`${proxy.protocol}// proxies are not supported`);
  try {
    authorization(proxy);
  } catch {
    throw refuse("a % in the user or password must be written as %25");
  }
  return proxy;
}

function read(env: Environment, name: string): string | undefined {
  const text = (env[name] ?? env[name.toUpperCase()] ?? "").trim();
  return text === "" ? undefined : text;
}

const bareHost = (host: string) =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");

function hostPort({ host, port }: Target): string {
  const name = host ?? "localhost";
  return `${net.isIPv6(name) ? `[${name}]` : name}:${port ?? ""}`;
}

const urlOf = (protocol: string, target: Target) => new URL(`${protocol}//${hostPort(target)}`);

/** The proxy for a target; undefined when it is reached directly. */
type Route = (target: Target) => URL | undefined;
type Trust = Pick<tls.ConnectionOptions, "secureContext">;

/** Plain HTTP: the proxy gets the request with the whole URL (RFC 9112, section 3.2.2). Many proxies allow CONNECT to port 443 only. */
function forward(agent: http.Agent, route: Route, trust: Trust): void {
  const requesting = agent as unknown as RequestingAgent;
  const addRequest = requesting.addRequest.bind(agent);
  requesting.addRequest = (request, target) => {
    const proxy = route(target);
    if (proxy !== undefined) {
      request.path = `${urlOf("http:", target).origin}${request.path}`;
      for (const [name, value] of Object.entries(authorization(proxy))) request.setHeader(name, value);
    }
    addRequest(request, target);
  };
  connectThrough(agent, route, (proxy, _target, limit) => connectTo(proxy, trust, limit));
}

/** HTTPS: a tunnel through the proxy (CONNECT), and TLS with the target inside it. */
function tunnel(agent: https.Agent, route: Route, trust: Trust): void {
  const startTls = agent.createConnection.bind(agent);
  connectThrough(agent, route, async (proxy, target, limit) => {
    const host = hostPort(target);
    const socket = await connectTo(proxy, trust, limit);
    const headers = { host, ...authorization(proxy) };
    const request = http.request({ method: "CONNECT", path: host, headers, createConnection: () => socket }).end();
    const [{ statusCode = 0 }] = (await once(request, "connect")) as [http.IncomingMessage];
    const inside = { ...target, socket };
    if (statusCode >= 200 && statusCode <= 299) return startTls(inside);
    socket.destroy();
    throw new Error(`CONNECT ${host}: HTTP ${statusCode}`);
  });
}

type Open = (proxy: URL, target: Target, limit: AbortSignal) => Promise<Duplex | null | undefined>;

/** Lets `agent`, which keeps the pool, `open` the connections that go through a proxy. */
function connectThrough(agent: http.Agent, route: Route, open: Open): void {
  const direct = agent.createConnection.bind(agent);
  agent.createConnection = (target, connected) => {
    const proxy = route(target);
    if (proxy === undefined) return direct(target, connected);
    void withTimeLimit(PROXY_TIMEOUT_MS, (limit) => open(proxy, target, limit)).then(
      (socket) => connected?.(null, socket as Duplex),
      (error: unknown) => connected?.(proxyError(proxy, error), undefined as unknown as Duplex),
    );
    return undefined;
  };
}

async function connectTo(proxy: URL, trust: Trust, limit: AbortSignal): Promise<net.Socket> {
  const isSecure = proxy.protocol === "https:";
  const host = bareHost(proxy.hostname);
  const address = { host, port: Number(proxy.port) || (isSecure ? 443 : 80) };
  // SNI has no addresses (RFC 6066, section 3).
  const name = net.isIP(host) === 0 ? { servername: host } : {};
  const socket = isSecure ? tls.connect({ ...address, ...name, ...trust }) : net.connect(address);
  limit.addEventListener("abort", () => socket.destroy(limit.reason as Error), { once: true });
  await once(socket, isSecure ? "secureConnect" : "connect");
  return socket;
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === "" && password === "") return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
}
