import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ConfigError } from "./errors.ts";
import type { Status, StreamStatus } from "./status.ts";

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Tells how the worker does, read-only: `/healthz` (the process turns over), `/readyz` (each stream's last tick succeeded; else
 * 503 and which did not), `/status.json`.
 * @throws ConfigError when the port is taken or the host is not this machine's
 */
export async function serveHealth(
  { host, port }: { readonly host: string; readonly port: number },
  status: () => Status,
): Promise<HealthServer> {
  const server: Server = createServer((request, response) => {
    // Taken as it stands: a request can name anything, and what a URL parser throws here would end the worker.
    const [pathname = "/"] = (request.url ?? "/").split("?");
    const [code, body] = request.method === "GET" || request.method === "HEAD" ? answer(pathname, status()) : [405, {}];
    response.writeHead(code, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(request.method === "HEAD" ? undefined : `${JSON.stringify(body)}\n`);
  });
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

function answer(pathname: string, status: Status): [code: number, body: unknown] {
  const streams = [...status.values()];
  switch (pathname) {
    case "/healthz":
      return [200, { status: "ok" }];
    case "/readyz": {
      const unready = streams.filter(({ state }) => state !== "ok");
      return [unready.length === 0 ? 200 : 503, { ready: unready.length === 0, unready: unready.map(whyNot) }];
    }
    case "/status.json":
      return [200, { streams }];
    default:
      return [404, { error: "not found", paths: ["/healthz", "/readyz", "/status.json"] }];
  }
}

function whyNot({ stream, state, failure }: StreamStatus) {
  return { stream, state, failure };
}
