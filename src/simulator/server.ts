import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ConfigError } from "../errors.ts";
import { deliver } from "./delivery.ts";
import { html } from "./replies.ts";

const BODY_MAX_BYTES = 1024 * 1024;

/** Answers one request. */
export type Serve = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** @param closing aborts before the server is ended: what is under way then is dropped */
export function serverOf(serve: Serve, closing: AbortSignal): Server {
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      // Closing, or the client has gone: nobody is left to answer. Anything else is a bug, and must be seen.
      if (closing.aborted || response.destroyed) response.destroy();
      else deliver(response, html(500, `simulator: ${String(error)}`), {}, undefined);
    });
  });
  // Longer than a client keeps an idle connection: one that is closed as it is used again looks like an outage.
  server.keepAliveTimeout = 60_000;
  return server;
}

/** Ends all connections; resolves when it does not listen any more. */
export async function endServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Resolves to where it listens. @throws ConfigError when it cannot listen there */
export async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  try {
    await once(server.listen(port, host), "listening");
  } catch (cause) {
    const hint = "choose another port, or 0 for any free one";
    throw new ConfigError(`start the simulator on ${host}:${port}: ${(cause as Error).message}`, { hint, cause });
  }
  return server.address() as AddressInfo;
}

/** The whole body, or undefined when it is too long. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_MAX_BYTES) chunks.push(chunk);
  }
  return bytes <= BODY_MAX_BYTES ? Buffer.concat(chunks) : undefined;
}
