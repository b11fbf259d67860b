import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { askWorker } from "../../src/commands/ask-worker.ts";
import { health as healthCommand } from "../../src/commands/health.ts";
import { TransientError } from "../../src/errors.ts";
import { temporaryFolder } from "../support/config.ts";
import { freePort } from "../support/process.ts";

const never = new AbortController().signal;
const host = "127.0.0.1";

/** A server here, on the first of these ports that is free; its port. */
async function listening(answer: RequestListener, ports: readonly number[] = [0]): Promise<number> {
  for (const port of ports) {
    const server = createServer(answer).listen(port, host);
    const [failed] = (await Promise.race([once(server, "listening"), once(server, "error")])) as [Error?];
    if (failed !== undefined) continue;
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  }
  throw new Error(`none of ${ports.join(", ")} is free`);
}

test("a worker is called with its token, also at ports that browsers refuse", async () => {
  const port = await listening(
    (request, response) => response.writeHead(403).end(`${request.url} ${request.headers.authorization}`),
    [10080, 6000, 5060, 6667],
  );
  const asked = await askWorker({ host, port, token: () => "s3cret" }, "/status.json", 2000, never);
  expect(asked).toEqual({ code: 403, text: "/status.json Bearer s3cret" });
});

test("no listener, a silent listener and a truncated answer are distinguished", async () => {
  expect(await askWorker({ host, port: await freePort() }, "/", 2000, never)).toBe("unreachable");
  expect(await askWorker({ host, port: await listening(() => undefined) }, "/", 100, never)).toBe("silent");
  const cut = await listening((_, response) => {
    response.writeHead(200, { "content-length": "99" });
    response.write("{", () => response.destroy());
  });
  expect(await askWorker({ host, port: cut }, "/", 2000, never)).toBe("silent");
});

/** The health by this configuration. */
async function health(config: unknown): Promise<number> {
  const path = join(temporaryFolder(), "exporter.yaml");
  if (config !== undefined) writeFileSync(path, JSON.stringify(config));
  return healthCommand.run({ config: path }, never);
}

test("health needs only the server's address: other mistakes in the configuration do not matter", async () => {
  const port = await listening((request, response) => response.writeHead(request.url === "/healthz" ? 200 : 500).end());
  vi.stubEnv("HEALTH_PORT", String(port));
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(await health({ server: { host: "0.0.0.0", port, tokenFile: "/nowhere/token" } })).toBe(0);
  expect(await health({ streams: [{ source: { token: "${NOT_SET}" } }], server: { port } })).toBe(0);
  expect(await health({ server: { host, port: "${HEALTH_PORT}" } })).toBe(0);
});

test("health has two answers: a worker that cannot be reached is not healthy", async () => {
  const broken = await listening((_, response) => response.writeHead(500).end());
  const silent = { server: { port: await freePort() } };
  for (const config of [
    undefined,
    "x",
    { server: false },
    { server: { port: "x" } },
    silent,
    { server: { port: broken } },
  ]) {
    await expect(health(config), JSON.stringify(config)).rejects.toThrow(TransientError);
  }
});
