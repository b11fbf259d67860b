import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ConfigError } from "../errors.ts";
import { html, type Reply } from "./api.ts";
import type { DeliveryFault } from "./faults.ts";

const BODY_MAX_BYTES = 1024 * 1024;

/** Answers one request. */
export type Serve = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** @param closing aborts before the server is closed; requests that are being served then are dropped */
export function serverOf(serve: Serve, closing: AbortSignal): Server {
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      // When the server is closing or the client has gone, no one waits for an answer. Any other error is a bug, and must be visible.
      if (closing.aborted || response.destroyed) response.destroy();
      else deliver(response, html(500, `simulator: ${String(error)}`), {}, undefined);
    });
  });
  // Longer than clients keep idle connections: one that is closed while a client reuses it looks like an outage.
  server.keepAliveTimeout = 60_000;
  return server;
}

/** Closes all connections. Resolves when the server has stopped listening. */
export async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Resolves to the address. @throws ConfigError when the server cannot listen there */
export async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  try {
    await once(server.listen(port, host), "listening");
  } catch (cause) {
    const hint = "choose another port, or 0 for any free one";
    throw new ConfigError(`start the simulator on ${host}:${port}: ${(cause as Error).message}`, { hint, cause });
  }
  return server.address() as AddressInfo;
}

/** The whole body; undefined when it is too long. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_MAX_BYTES) chunks.push(chunk);
  }
  return bytes <= BODY_MAX_BYTES ? Buffer.concat(chunks) : undefined;
}

/** Sends the reply, or the part of it that the fault allows. */
export function deliver(
  response: ServerResponse,
  reply: Reply,
  headers: Readonly<Record<string, string>>,
  fault: DeliveryFault | undefined,
): void {
  const half = reply.body.subarray(0, Math.floor(reply.body.length / 2));
  const head = (bytes: number): ServerResponse => {
    response.sendDate = false;
    return response.writeHead(reply.status, { ...headers, ...reply.headers, "content-length": bytes });
  };
  switch (fault) {
    case undefined:
      head(reply.body.length).end(reply.body);
      return;
    case "truncatedJson":
      head(half.length).end(half);
      return;
    case "cutBody":
      // The connection is closed after the half was handed to the system, so that the half arrives.
      head(reply.body.length).write(half, () => response.destroy());
      return;
    case "stalledBody":
      head(reply.body.length).flushHeaders();
      return;
    case "reset":
      response.destroy();
      return;
    case "silence":
      // The connection stays open until the client gives up or the simulator is closed.
      return;
  }
}
