import { ConfigError, TransientError } from "../errors.ts";
import { SECOND_MS } from "../time.ts";
import { askWorker, workerUrl } from "./ask-worker.ts";
import { command, CONFIG, type OptionsOf } from "./command.ts";

const flags = { config: CONFIG };

export const health = command({
  name: "health",
  about: "checks that the worker on this machine is alive (for a container's health check)",
  flags,
  run: checkHealth,
});

/** A worker that is alive answers within this time. */
const HEALTH_TIMEOUT_MS = 3 * SECOND_MS;

/**
 * Resolves with 0 when the worker is alive. A container's health check restarts what is not alive, so only the server's address
 * is read from the configuration: a mistake elsewhere in it must not restart a worker that runs.
 *
 * @throws TransientError for every failure, also of reading the configuration: a health check knows only two answers
 */
async function checkHealth({ config }: OptionsOf<typeof flags>, signal: AbortSignal): Promise<number> {
  const server = await serverOf(config);
  const asked = await askWorker(server, "/healthz", HEALTH_TIMEOUT_MS, signal);
  if (typeof asked !== "string" && asked.code === 200) return 0;
  const url = workerUrl(server, "/healthz");
  if (asked === "unreachable") {
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
    const { lookupIn } = await import("../config/environment.ts");
    const { readConfigFile } = await import("../config/file.ts");
    const { listenAddress } = await import("../config/server.ts");
    const { value } = await readConfigFile(path, await lookupIn(process.env));
    const found = listenAddress.safeParse(value);
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
