import { get } from "node:http";
import type { ServerConfig } from "../config/config.ts";
import { withTimeLimit } from "../http/time-limit.ts";

/** The result: an answer; `unreachable`: nothing listens there; `silent`: something listens but does not answer in time. */
export type Asked = { readonly code: number; readonly text: string } | "unreachable" | "silent";

/** The URL of the worker on this machine. A worker that listens on every address is reached on the loopback address. */
export function workerUrl({ host, port }: Pick<ServerConfig, "host" | "port">, path: string): string {
  const near = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${near.includes(":") ? `[${near}]` : near}:${port}${path}`;
}

/**
 * Sends a GET to the worker on this machine. Uses `node:http`, because `fetch` refuses some ports.
 * @throws the signal's reason when it aborts
 * @throws ConfigError or RefusedError when the server's token is not set or cannot be read
 */
export async function askWorker(
  server: Pick<ServerConfig, "host" | "port" | "token">,
  path: string,
  limitMs: number,
  signal: AbortSignal,
): Promise<Asked> {
  const headers = server.token === undefined ? {} : { authorization: `Bearer ${server.token()}` };
  try {
    return await withTimeLimit(limitMs, (limit) => answerOf(workerUrl(server, path), headers, limit), signal);
  } catch (error) {
    signal.throwIfAborted();
    const { code } = error as NodeJS.ErrnoException;
    return UNREACHABLE.has(code ?? "") ? "unreachable" : "silent";
  }
}

const UNREACHABLE = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL", "ENOTFOUND", "EAI_AGAIN"]);

async function answerOf(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const request = get(url, { headers, signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve({ code: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}
