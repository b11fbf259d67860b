import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";

export interface Proxy {
  readonly url: string;
  /** `host:port` of each tunnel that was asked for, in order. */
  readonly tunnels: readonly string[];
  close(): void;
}

/**
 * A real CONNECT proxy on loopback. With `credentials` (`user:password`) it answers 407 to whoever does not show them. Every
 * tunnel leads to loopback, whatever name was asked for, so that names of the outside can be tried.
 */
export async function startProxy(credentials?: string): Promise<Proxy> {
  const tunnels: string[] = [];
  const server = http.createServer((_, response) => response.writeHead(405).end());
  server.on("connect", (request, client: net.Socket) => {
    const expected = `Basic ${Buffer.from(credentials ?? "").toString("base64")}`;
    if (credentials !== undefined && request.headers["proxy-authorization"] !== expected) {
      client.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    tunnels.push(request.url ?? "");
    const target = net.connect(Number(request.url?.split(":").at(-1)), "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      target.pipe(client).pipe(target);
    });
    target.on("error", () => client.destroy());
    client.on("error", () => target.destroy());
    target.on("close", () => client.destroy());
    client.on("close", () => target.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${credentials === undefined ? "" : `${credentials}@`}127.0.0.1:${port}`,
    tunnels,
    close: () => server.close(),
  };
}
