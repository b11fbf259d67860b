import { ConfigError, TransientError } from "../errors.ts";
import { loadStreams, type ConfigOptions } from "./streams.ts";
import { within } from "./within.ts";

/** A process that turns over answers within this time. */
const HEALTH_TIMEOUT_MS = 3000;

/** Asks the worker on this machine whether it turns over: 0 when it does. For a container's health check. */
export async function healthCommand(options: ConfigOptions, signal: AbortSignal): Promise<number> {
  const { server } = await loadStreams(options);
  if (server === false) {
    throw new ConfigError("ask the worker for its health: the configuration has server: false", {
      hint: "give it a server, or check the container's health in another way",
    });
  }
  // A worker that listens on every address is asked on this machine's own.
  const host = server.host === "0.0.0.0" || server.host === "::" ? "127.0.0.1" : server.host;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${server.port}/healthz`;
  try {
    const response = await within(HEALTH_TIMEOUT_MS, signal, (limit) => fetch(url, { signal: limit }));
    if (response.ok) return 0;
    throw new TransientError("unavailable", `GET ${url}: HTTP ${response.status}`);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof TransientError) throw cause;
    throw new TransientError("network", `GET ${url}: no answer`, { hint: "no worker listens there", cause });
  }
}
