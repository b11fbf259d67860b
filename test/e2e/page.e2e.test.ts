import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { StatusDocument } from "../../src/status/status-document.ts";
import { assets, renderPage } from "../../src/server/page/page.ts";
import { serveHealth } from "../../src/server/server.ts";
import { barriers, browserInstalled, isTooWide, screens, type Screens } from "../support/browser.ts";
import { freePort } from "../support/process.ts";
import { start } from "../support/program.ts";
import { openStage } from "../support/stage.ts";
import { before, busyStream, documentOf, hoursOf, streamOf } from "../support/status-document.ts";

const SCREENS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 360, height: 740 } },
} as const;

/** A stream with everything that can go wrong. */
function unhealthyStream() {
  const windows = busyStream()
    .windows.slice(0, 262)
    .map((window, index) => {
      if (index >= 100 && index < 115) return { ...window, kind: "gap" as const, events: 0, late: 0, bytes: 0 };
      return index === 200 ? { ...window, quarantined: 2 } : window;
    });
  const until = windows.at(-1)!.to;
  const refused = { code: "forbidden", stage: "fetch", hint: "the token needs the scope audit_events:read" };
  const message = "GET /audit_events: HTTP 403";
  return busyStream({
    ...{ stream: "unhealthy", state: "failing", why: message, hint: refused.hint, failedTicks: 24 },
    ...{ windows, hours: hoursOf(windows), exportedUntil: until, lagSeconds: 7925, completeness: 0.999_91 },
    day: { ...busyStream().day, quarantined: 2, gaps: 15 },
    running: { sequence: 10_001, kind: "window", from: until, to: before(7_625_000), since: until },
    errors: [{ ...refused, message, firstTime: before(7_200_000), time: before(125_000), count: 24 }],
  });
}

interface Served {
  readonly url: string;
  readonly port: number;
  readonly show: (next: StatusDocument) => void;
  readonly close: () => Promise<void>;
}

/** A worker's server with a document that the test changes. */
async function serve(
  document: StatusDocument,
  { port = 0, token }: { port?: number; token?: () => string } = {},
): Promise<Served> {
  let current = document;
  const metrics = { text: async () => "", contentType: "text/plain" };
  const page = { render: renderPage, assets };
  const options = { host: "127.0.0.1", port, ...(token && { token }) };
  // On this clock a second passes between two requests, so a new document is shown at once.
  let now = 0;
  const server = await serveHealth(options, { document: () => current, metrics, page }, { now: () => (now += 1000) });
  return {
    url: `http://127.0.0.1:${server.port}/`,
    port: server.port,
    show: (next) => void (current = next),
    close: () => server.close(),
  };
}

/** The script updates the page when the network is back, so a test need not wait for the next update. */
const UPDATE_NOW = "dispatchEvent(new Event('online'))";

describe.skipIf(!browserInstalled())("in a browser", () => {
  let browser: Screens;
  beforeAll(async () => {
    browser = await screens();
  });
  afterAll(async () => {
    console.log(`screenshots of the status page: ${browser.folder}`);
    await browser.close();
  });

  describe("the demo", () => {
    let url = "";
    let demo: ReturnType<typeof start>;
    let directory = "";
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "page-"));
      demo = start(["demo", "--directory", directory]);
      url = (await demo.saw(/status page\s+(\S+)/, "stdout"))[1]!;
      await demo.saw(/Live:/, "stdout");
    });
    afterAll(async () => {
      demo.kill("SIGTERM");
      await demo.ended;
      await rm(directory, { recursive: true });
    });

    test.each(Object.keys(SCREENS) as (keyof typeof SCREENS)[])(
      "shows its streams, %s, without browser errors and accessibility problems",
      async (name) => {
        const { page, complaints, screenshot } = await browser.open(url, SCREENS[name]);
        const { streams } = (await (await fetch(new URL("status.json", url))).json()) as StatusDocument;
        expect(streams.length).toBeGreaterThan(0);
        for (const { stream } of streams) {
          await page.locator(`#row-${stream}`).getByText(stream).waitFor();
          await page.locator(`#stream-${stream}`).getByRole("heading", { name: stream }).waitFor();
          await page.locator(`#stream-${stream} .plot path[d^=M]`).first().waitFor();
        }
        await screenshot(`demo-${name}`);
        expect(await barriers(page)).toEqual([]);
        expect(await isTooWide(page)).toBe(false);
        expect(complaints).toEqual([]);
      },
    );

    test("updates by itself, and keeps focus, scroll position and unfolded details", async () => {
      const { page, complaints } = await browser.open(url);
      await page.locator("summary").first().click();
      await page.getByRole("button", { name: "Copy the ledger head" }).first().focus();
      await page.evaluate("scrollTo(0, 300); document.body.dataset.kept = 'yes'");
      const first = await page.locator(".figures time").first().getAttribute("datetime");
      await page.locator(`.figures time:not([datetime="${first}"])`).first().waitFor();
      expect(await page.evaluate("document.body.dataset.kept")).toBe("yes");
      expect(await page.evaluate("scrollY")).toBe(300);
      expect(await page.evaluate("document.querySelector('details').open")).toBe(true);
      expect(await page.evaluate("document.activeElement.getAttribute('aria-label')")).toContain(
        "Copy the ledger head",
      );
      expect(complaints).toEqual([]);
    });
  });

  test("when the source refuses one stream, the page shows which, why, and what to do", async () => {
    const port = await freePort();
    const source = { type: "pachca", token: "another", account: "acme" };
    const stage = await openStage(
      {
        config: { server: { host: "127.0.0.1", port } },
        stream: { lagLimit: "7d" },
        more: [{ name: "refused" }],
      },
      onTestFinished,
    );
    const [demo, refused] = stage.settings["streams"] as { source: object }[];
    stage.write({ ...stage.settings, streams: [demo, { ...refused, source: { ...demo?.source, ...source } }] });
    const worker = stage.start(["run"]);
    onTestFinished(async () => {
      worker.kill("SIGTERM");
      await worker.ended;
    });
    await worker.saw(/"fact":"tick\.failed"/);
    await worker.saw(/"fact":"tick\.done"/);
    const { page, complaints, screenshot } = await browser.open(`http://127.0.0.1:${port}/`);
    await screenshot("run");
    expect(await page.title()).toBe("✕ 1 of 2 streams needs attention");
    expect(await page.locator("tbody tr").first().getAttribute("id")).toBe("row-refused");
    expect(await page.locator("#stream-refused .why").textContent()).toMatch(/HTTP 401[^]*token/);
    expect(await page.locator("#row-demo .word").textContent()).toBe("ok");
    expect(await barriers(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test("the copy button can be reached by keyboard, and copies the ledger head", async () => {
    const { url, close } = await serve(documentOf(busyStream()));
    onTestFinished(close);
    const { page } = await browser.open(url, { permissions: ["clipboard-read", "clipboard-write"] });
    const focused = () => page.evaluate("document.activeElement.textContent");
    for (let presses = 0; (await focused()) !== "Copy"; presses++) {
      expect(presses).toBeLessThan(30);
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByText("Copied.").waitFor();
    const { sequence, sha256 } = busyStream().head!;
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe(`${sequence} ${sha256}`);
  });

  test.each(Object.keys(SCREENS) as (keyof typeof SCREENS)[])(
    "an unhealthy stream and a gap, %s, without accessibility problems",
    async (name) => {
      const starting = streamOf({ stream: "new" });
      const { url, close } = await serve(documentOf(busyStream({ stream: "healthy" }), unhealthyStream(), starting));
      onTestFinished(close);
      const { page, complaints, screenshot } = await browser.open(url, SCREENS[name]);
      await screenshot(`unhealthy-${name}`);
      expect(await page.title()).toBe("✕ 1 of 3 streams needs attention");
      expect(await page.locator("#stream-unhealthy .why").textContent()).toContain(
        "the token needs the scope audit_events:read",
      );
      expect(await page.locator("#stream-unhealthy .c-gap").count()).toBeGreaterThan(1);
      expect(await page.locator("#stream-unhealthy title", { hasText: "gap" }).count()).toBeGreaterThan(0);
      expect(await barriers(page)).toEqual([]);
      expect(await isTooWide(page)).toBe(false);
      expect(complaints).toEqual([]);
    },
  );

  test("a hundred streams, without accessibility problems", async () => {
    const busy = busyStream();
    const streams = Array.from({ length: 100 }, (_, index) => ({ ...busy, stream: `tenant-${index}` }));
    const { url, close } = await serve(documentOf(...streams));
    onTestFinished(close);
    const { page, screenshot } = await browser.open(url);
    await screenshot("hundred");
    expect(await barriers(page)).toEqual([]);
    await page.getByRole("link", { name: "tenant-99" }).click();
    await page.getByRole("heading", { name: "tenant-99" }).waitFor();
  });

  test("a stream that becomes unhealthy moves up and is announced, and the focus stays where it was", async () => {
    const [one, two] = [busyStream({ stream: "one" }), busyStream({ stream: "two" })];
    const { url, close, show } = await serve(documentOf(one, two));
    onTestFinished(close);
    const { page, complaints } = await browser.open(url);
    await page.getByRole("link", { name: "two" }).focus();
    await page.evaluate("window.row = document.getElementById('row-two')");
    show(documentOf(one, { ...two, state: "failing", why: "the source is down", hint: null }));
    await page.evaluate(UPDATE_NOW);
    await page.locator("#announcement", { hasText: "1 of 2 streams needs attention." }).waitFor({ state: "attached" });
    expect(await page.locator("tbody tr").first().getAttribute("id")).toBe("row-two");
    expect(await page.evaluate("window.row === document.getElementById('row-two')")).toBe(true);
    expect(await page.evaluate("document.activeElement.textContent")).toBe("two");
    expect(await page.title()).toBe("✕ 1 of 2 streams needs attention");
    expect(complaints).toEqual([]);
  });

  test("shows that the worker cannot be reached, and when it can be reached again", async () => {
    const first = await serve(documentOf(busyStream()));
    const { page, screenshot } = await browser.open(first.url);
    await first.close();
    await page.evaluate(UPDATE_NOW);
    await page
      .getByText("The worker cannot be reached (no connection). This page shows the status as of 10:42:05 UTC.")
      .waitFor();
    expect(await page.title()).toBe("✕ The worker cannot be reached");
    await screenshot("unreachable");
    expect(await barriers(page)).toEqual([]);
    const again = await serve(documentOf(busyStream()), { port: first.port });
    onTestFinished(again.close);
    await page.evaluate(UPDATE_NOW);
    await page.locator("#offline").waitFor({ state: "hidden" });
    expect(await page.title()).toBe("✓ The stream is healthy, and the archive is complete");
    expect(await page.locator("#announcement").textContent()).toContain("The worker can be reached again.");
  });

  test("without JavaScript the page shows the same, and no button that would do nothing", async () => {
    const { url, close } = await serve(documentOf(busyStream({ stream: "healthy" }), unhealthyStream()));
    onTestFinished(close);
    const { page, screenshot } = await browser.open(url, { javaScriptEnabled: false });
    await screenshot("without-javascript");
    const text = await page.locator("body").innerText();
    expect(text).toContain("1 of 2 streams needs attention");
    expect(text).toContain("reload the page to update it");
    expect(text).toContain("GET /audit_events: HTTP 403");
    expect(await page.getByRole("button").count()).toBe(0);
    await page.locator("#stream-unhealthy summary").click();
    await page.locator("#stream-unhealthy .numbers").getByText("gap of 1h").waitFor();
  });

  test("with a token, a browser signs in and keeps updating", async () => {
    const { url, close, show } = await serve(documentOf(busyStream()), { token: () => "secret" });
    onTestFinished(close);
    const { page } = await browser.open(url, { httpCredentials: { username: "me", password: "secret" } });
    show(documentOf(busyStream({ state: "behind" })));
    await page.evaluate(UPDATE_NOW);
    await page.getByRole("heading", { name: "1 of 1 stream needs attention" }).waitFor();
  });
});
