import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { serve } from "../support/serve.ts";
import { freePort } from "../support/process.ts";
import { CANARY, openStage } from "../support/stage.ts";

/** Each secret of the configuration has a text of its own, which shows where a leak comes from. */
const WEBHOOK = "canary-webhook-91ab";
const HEARTBEAT = "canary-heartbeat-22cd";
const BOT = "canary-bot-77ef";
const SERVER = "canary-server-03aa";
const SECRETS = [CANARY, WEBHOOK, HEARTBEAT, BOT, SERVER];

test("no answer, line, message or file has a secret of the configuration, the environment or a URL", async () => {
  const port = await freePort();
  const seen: string[] = [];
  // A receiver that refuses and repeats what it got: the worker must not pass its text on.
  const { baseUrl } = await serve((request, response) => {
    seen.push(`${request.method ?? ""} ${request.url ?? ""}`);
    response.writeHead(403, { location: request.url ?? "" }).end(`refused ${request.url ?? ""}`);
  });
  const stage = await openStage(
    {
      config: {
        server: { host: "127.0.0.1", port, token: "${SERVER_TOKEN}" },
        log: { level: "trace" },
        notify: {
          webhook: { url: "${WEBHOOK_URL}" },
          heartbeat: { url: "${HEARTBEAT_URL}", every: "10s" },
          pachca: { baseUrl: `${baseUrl}/api`, token: "${BOT_TOKEN}", entityId: 1 },
        },
      },
      stream: { lagLimit: "7d" },
    },
    onTestFinished,
  );
  const env = {
    ...{ SERVER_TOKEN: SERVER, BOT_TOKEN: BOT, HTTP_PROXY: "", AWS_SECRET_ACCESS_KEY: CANARY },
    WEBHOOK_URL: `${baseUrl}/${WEBHOOK}?key=${WEBHOOK}`,
    HEARTBEAT_URL: `${baseUrl.replace("//", `//me:${HEARTBEAT}@`)}/${HEARTBEAT}`,
  };
  const worker = stage.start(["run"], { env });
  await worker.saw(/"fact":"tick\.done"/);
  await worker.saw(/"notifier":"heartbeat"/);
  const told: string[] = [];
  const ask = async (headers: Record<string, string>) => {
    for (const path of ["/", "/status.json", "/metrics", "/readyz", "/healthz", "/nonesuch", "/?stream=x"]) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
      told.push(`${path} ${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`);
    }
  };
  await ask({ authorization: `Bearer ${SERVER}` });

  // The source refuses, with the token in its answer: the worker becomes unhealthy and reports it everywhere.
  stage.api.access.token = "another";
  stage.api.clockOffsetMs += 600_000;
  worker.kill("SIGTERM");
  const { stderr: well } = await worker.ended;
  const sick = stage.start(["run"], { env });
  await sick.saw(/"fact":"notification\.failed","notifier":"webhook"/);
  await sick.saw(/"fact":"notification\.failed","notifier":"pachca"/);
  await ask({ authorization: `Bearer ${SERVER}` });
  await ask({ authorization: "Bearer wrong" });
  for (const args of [["status"], ["status", "--json"], ["check"], ["health"]]) {
    const { stdout, stderr } = await stage.run(args, { env });
    told.push(stdout, stderr);
  }
  sick.kill("SIGTERM");
  const { stderr } = await sick.ended;
  told.push(well, stderr);

  // The secrets did reach their receivers, so there was something to leak.
  expect(seen.some((line) => line.includes(WEBHOOK))).toBe(true);
  expect(seen.some((line) => line.includes(HEARTBEAT))).toBe(true);
  expect(told.join("\n")).toContain("siem_export_lag_seconds");
  expect(told.filter((text) => SECRETS.some((secret) => text.includes(secret)))).toEqual([]);
  const files = readdirSync(join(stage.folder, "out"), { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  expect(files.length).toBeGreaterThan(10);
  const bytes = files.map((one) => readFileSync(join(one.parentPath, one.name), "latin1"));
  expect(bytes.filter((text) => SECRETS.some((secret) => text.includes(secret)))).toEqual([]);
}, 60_000);
