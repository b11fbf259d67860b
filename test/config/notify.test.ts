import { expect, test } from "vitest";
import { errorOf, loadText } from "../support/config.ts";

const SECRET = "https://hooks.example/canary-4f1c9a7e";

/** A configuration with `streams` and these members. */
const configWith = (members: Record<string, unknown>) =>
  loadText(
    JSON.stringify({
      streams: [
        {
          name: "acme",
          source: { type: "pachca", token: "t" },
          windows: { start: "2026-11-01T00:00:00Z" },
          sink: { type: "stdout" },
          lagLimit: "1h",
        },
      ],
      ...members,
    }),
  );

test("the lag limit and the shutdown grace are read into milliseconds", async () => {
  const { streams, shutdownGraceMs } = await configWith({ shutdownGrace: "20s" });
  expect([streams[0]?.lagLimitMs, shutdownGraceMs]).toEqual([3_600_000, 20_000]);
});

test("the URLs of a heartbeat and a webhook and the token of a bot are secrets", async () => {
  const { notify } = await configWith({
    notify: {
      webhook: { url: SECRET },
      heartbeat: { url: SECRET, every: "5m" },
      pachca: { token: "bot", entityType: "user", entityId: 7 },
    },
  });
  expect([notify.webhook?.url(), notify.heartbeat?.url(), notify.pachca?.token()]).toEqual([SECRET, SECRET, "bot"]);
  expect(notify.heartbeat?.everyMs).toBe(300_000);
  expect(JSON.stringify(notify)).not.toContain("canary");
});

test.each([
  [{ webhook: {} }, "notify.webhook.url: missing  (accepted: url or urlFile)"],
  [{ webhook: { url: "hooks.example/canary" } }, "notify.webhook.url: "],
  [{ webhook: { url: "ftp://hooks.example/canary" } }, "notify.webhook.url: "],
  [{ webhook: { url: SECRET, urlFile: "/none/such" } }, "notify.webhook.urlFile: "],
  [{ pachca: { token: "canary bot", entityId: 7 } }, "notify.pachca.token: "],
  [{ pachca: { token: "b" } }, "notify.pachca.entityId: "],
  [{ heartbeat: { url: SECRET, every: "1s" } }, "notify.heartbeat.every: "],
  [{ slack: {} }, "notify.slack: unknown key"],
])("a mistake in %j is reported without the URL or the token", async (notify, mistake) => {
  const { message } = await errorOf(configWith({ notify }));
  expect(message).toContain(mistake);
  expect(message).not.toContain("canary");
});

test("the token of the status page is a secret, and is never shown", async () => {
  const { server } = await configWith({ server: { token: "canary" } });
  expect(server !== false && server.token?.()).toBe("canary");
  const { message } = await errorOf(configWith({ server: { token: "canary with a space" } }));
  expect(message).toContain("server.token: ");
  expect(message).not.toContain("canary");
});
