import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";

export interface Proxy {
  readonly url: string;
  /** `host:port` of each tunnel that was requested with CONNECT, in order. */
  readonly tunnels: readonly string[];
  /** The URL of each plain HTTP request that the proxy forwarded, in order. */
  readonly forwarded: readonly string[];
  /** How many connections the proxy accepted. */
  readonly connections: () => number;
  close(): void;
}

export interface ProxyOptions {
  /** `user:password`: the proxy answers 407 to requests without them. */
  readonly credentials?: string | undefined;
  /** The loopback address to listen on. */
  readonly host?: "127.0.0.1" | "::1";
  /** Serves TLS with this certificate. */
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer } | undefined;
  /** Never answers a CONNECT. */
  readonly silent?: boolean;
}

/**
 * A real proxy on loopback, strict like Squid's defaults: CONNECT only for TLS, plain HTTP only with the whole URL. All targets
 * are on loopback, whatever name was requested, so that tests can use public names.
 */
export async function startProxy({ credentials, host = "127.0.0.1", tls, silent }: ProxyOptions = {}): Promise<Proxy> {
  const tunnels: string[] = [];
  const forwarded: string[] = [];
  let connections = 0;
  const isAllowed = ({ headers }: http.IncomingMessage): boolean =>
    credentials === undefined ||
    headers["proxy-authorization"] === `Basic ${Buffer.from(credentials).toString("base64")}`;

  function forward(request: http.IncomingMessage, response: http.ServerResponse): void {
    const url = URL.parse(request.url ?? "");
    if (url === null) return void response.writeHead(400).end();
    if (!isAllowed(request)) return void response.writeHead(407).end();
    forwarded.push(url.href);
    const { "proxy-authorization": _, ...headers } = request.headers;
    const target = { host: "127.0.0.1", port: url.port, path: url.pathname + url.search };
    const onward = http.request({ ...target, method: request.method, headers, agent: false }, (answer) => {
      answer.pipe(response.writeHead(answer.statusCode ?? 0));
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  }

  function tunnel(request: http.IncomingMessage, client: net.Socket): void {
    client.on("error", () => client.destroy());
    if (silent) return;
    if (!isAllowed(request)) return void client.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    tunnels.push(request.url ?? "");
    const target = net.connect(Number(request.url?.split(":").at(-1)), "127.0.0.1", () => {
      client.once("data", (hello: Buffer) => {
        // The first byte of a TLS handshake (RFC 8446, section 5.1).
        if (hello[0] === 22) target.write(hello);
        else client.destroy();
        target.pipe(client).pipe(target);
      });
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    });
    target.on("error", () => client.destroy());
    target.on("close", () => client.destroy());
    client.on("close", () => target.destroy());
  }

  const server = tls === undefined ? http.createServer(forward) : https.createServer(tls, forward);
  server.on("connection", () => connections++);
  server.on("connect", tunnel).listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const user = credentials === undefined ? "" : `${credentials.split(":").map(encodeURIComponent).join(":")}@`;
  const name = tls === undefined ? (host === "::1" ? "[::1]" : host) : "localhost";
  return {
    url: `${tls === undefined ? "http" : "https"}://${user}${name}:${port}`,
    tunnels,
    forwarded,
    connections: () => connections,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
