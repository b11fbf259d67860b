import { lookupIn } from "../config/environment.ts";
import { readConfigFile } from "../config/file.ts";
import { reached } from "../config/server.ts";
import { ConfigError, TransientError } from "../errors.ts";
import { SECOND_MS } from "../time.ts";
import { askWorker, workerUrl } from "./ask-worker.ts";
import type { ConfigOptions } from "./streams.ts";

/** A process that turns over answers within this time. */
const HEALTH_TIMEOUT_MS = 3 * SECOND_MS;

/**
 * Asks the worker on this machine whether it turns over: 0 when it does. For a container's health check, which restarts what
 * is not well: so of the configuration only the server's address is read, and whatever else is wrong with it is no concern here.
 *
 * @throws TransientError for all that keeps it from knowing: there is no third answer
 */
export async function healthCommand({ config }: ConfigOptions, signal: AbortSignal): Promise<number> {
  const server = await serverOf(config);
  const asked = await askWorker(server, "/healthz", HEALTH_TIMEOUT_MS, signal);
  if (typeof asked !== "string" && asked.code === 200) return 0;
  const url = workerUrl(server, "/healthz");
  if (asked === "nobody") {
    throw new TransientError("network", `GET ${url}: no answer`, { hint: "no worker listens there" });
  }
  if (asked === "silent") {
    throw new TransientError("timeout", `GET ${url}: no answer in ${HEALTH_TIMEOUT_MS / SECOND_MS} s`, {
      hint: "the worker hangs, or is not what listens there",
    });
  }
  throw new TransientError("unavailable", `GET ${url}: HTTP ${asked.code}`);
}

async function serverOf(path: string): Promise<{ readonly host: string; readonly port: number }> {
  try {
    const { value } = await readConfigFile(path, await lookupIn(process.env));
    const found = reached.safeParse(value);
    if (!found.success) throw new ConfigError(`read configuration ${path}: server has no host and port to ask`);
    if (found.data.server !== false) return found.data.server;
    throw new ConfigError("ask the worker for its health: the configuration has server: false", {
      hint: "give it a server, or check the container's health in another way",
    });
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    throw new TransientError("unavailable", cause.message, { hint: cause.hint, cause });
  }
}
