import { expect, test } from "vitest";
import type { StreamStatus } from "../../../src/status/status-document.ts";
import { assets, renderPage } from "../../../src/server/page/page.ts";
import { before, busyStream, documentOf, hoursOf, streamOf } from "../../support/status-document.ts";

/** The text that a person reads. */
function textOf(page: string): string {
  return page
    .slice(page.indexOf("<body>"))
    .replaceAll(/<title>.*?<\/title>|<[^>]*>/g, " ")
    .replaceAll(/\s+/g, " ");
}

const headline = (page: string): string => /<h1>(.*?)<\/h1>/.exec(page)?.[1] ?? "";

const FAILING = {
  state: "failing",
  why: "GET /audit_events: HTTP 403",
  hint: "the token needs the scope audit_events:read",
} as const;

test("when every stream is healthy and nothing is missing, the page says so first", () => {
  const page = renderPage(documentOf(busyStream({ stream: "one" }), busyStream({ stream: "two" })));
  expect(headline(page)).toBe("Both streams are healthy, and the archive is complete");
  expect(textOf(page)).toContain("No gaps are known, and nothing was quarantined in the last exported day.");
  expect(page).toContain("<title>✓ Both streams are healthy, and the archive is complete</title>");
});

test("a stream that was never compared with its source is called up to date, not complete", () => {
  const page = renderPage(documentOf(busyStream(), busyStream({ stream: "other", completeness: null })));
  expect(headline(page)).toBe("Both streams are healthy and up to date");
});

test("an unhealthy stream comes first, with the reason and what to do", () => {
  const page = renderPage(
    documentOf(busyStream({ stream: "healthy" }), busyStream({ stream: "unhealthy", ...FAILING })),
  );
  expect(headline(page)).toBe("1 of 2 streams needs attention");
  expect(page.indexOf('id="row-unhealthy"')).toBeLessThan(page.indexOf('id="row-healthy"'));
  expect(page.indexOf('id="stream-unhealthy"')).toBeLessThan(page.indexOf('id="stream-healthy"'));
  expect(textOf(page)).toContain(
    "GET /audit_events: HTTP 403 → What to do: the token needs the scope audit_events:read",
  );
});

const GAPS = {
  ...{ count: 1, seconds: 864_000, knownFrom: 7 },
  spans: [{ sequence: 9, from: "2026-08-01T00:00:00Z", to: "2026-08-11T00:00:00Z" }],
};

test("an old gap is shown with its time span, and with the first window that was searched for gaps", () => {
  const text = textOf(renderPage(documentOf(busyStream({ gaps: GAPS }))));
  expect(text).toContain("Gaps 10d 1 gap since window 7");
  expect(text).toContain("1 Aug 00:00:00 to 11 Aug 00:00:00 10d, sequence 9");
  expect(textOf(renderPage(documentOf(busyStream())))).toContain("Gaps none known in all windows");
});

test.each([
  ["a gap", "Events are lost: there are gaps in acme.", { gaps: GAPS }],
  [
    "an item in quarantine",
    "1 item was quarantined in the last exported day.",
    { day: { ...busyStream().day, quarantined: 1 } },
  ],
  ["a comparison", "The source has events that the archive does not have: acme.", { completeness: 0.999_999 }],
])("%s is reported although the stream is healthy", (_, sentence, changes) => {
  const page = renderPage(documentOf(busyStream(changes)));
  expect(headline(page)).toBe("The stream is healthy, but the archive is incomplete");
  expect(textOf(page)).toContain(sentence);
});

test("completeness is never rounded up to 100 %", () => {
  expect(textOf(renderPage(documentOf(busyStream({ completeness: 0.999_999_9 }))))).toContain("Completeness 99.999 %");
});

test("a starting stream says so, and shows no empty charts", () => {
  const page = renderPage(documentOf(streamOf()));
  expect(headline(page)).toBe("1 stream is starting");
  expect(page).not.toContain('class="plot"');
});

test("a worker without streams has a page", () => {
  expect(textOf(renderPage(documentOf()))).toContain("No stream is configured.");
});

test("names, places, messages and event keys stay text, whatever they contain", () => {
  const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`;
  const error = { code: evil, stage: evil, message: evil, hint: evil, firstTime: before(2), time: before(1), count: 2 };
  const day = { ...busyStream().day, keys: [{ key: evil, events: 1 }], wouldCatch: evil, lateness: { [evil]: 1 } };
  const page = renderPage(
    documentOf(
      busyStream({
        ...{ stream: evil, sink: evil, schedule: evil, state: "failing", why: evil, hint: evil, day },
        source: { type: evil, baseUrl: evil, account: evil },
        errors: [error],
        head: { sequence: 1, sha256: evil },
      }),
    ),
  );
  expect(page.match(/<script/g)).toHaveLength(1);
  expect(page).not.toContain("<img");
  expect(page.match(/&lt;script&gt;/g)?.length).toBeGreaterThan(15);
});

test("the page has no inline style and no inline script, and loads nothing from other servers", () => {
  const page = renderPage(documentOf(busyStream(FAILING), busyStream({ stream: "two" })));
  expect(page).not.toMatch(/\sstyle=|<style|\son[a-z]+=|javascript:/);
  const addresses = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address = ""]) => address);
  const elsewhere = addresses.filter(
    (address) => !/^(?:#|\?|data:image\/svg|style\.css|client\.js|status\.json|metrics|readyz)/.test(address),
  );
  expect(elsewhere).toEqual([]);
  for (const [path] of assets) expect(addresses.join(" ")).toContain(path.slice(1));
});

test("each id is unique", () => {
  const page = renderPage(documentOf(busyStream({ stream: "one" }), busyStream({ stream: "one-name" })));
  const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
  expect(ids.length).toBeGreaterThan(8);
  expect(new Set(ids).size).toBe(ids.length);
});

function tenants(count: number): StreamStatus[] {
  const busy = busyStream();
  return Array.from({ length: count }, (_, index) => ({ ...busy, stream: `tenant-${index}` }));
}

test("of many streams all are in the table, the first are shown in detail, and each one is when it is selected", () => {
  const streams = tenants(100);
  const whole = documentOf(...streams, busyStream({ stream: "unhealthy", ...FAILING }));
  const page = renderPage(whole);
  expect(page.match(/id="row-/g)).toHaveLength(101);
  expect(page.match(/id="stream-[a-z0-9-]+"/g)![0]).toBe('id="stream-unhealthy"');
  expect(page).not.toContain('id="stream-tenant-99"');
  expect(page).toContain('href="?stream=tenant-99"');
  const one = renderPage(whole, "tenant-99");
  expect([...one.matchAll(/<section class="card stream" id="([^"]*)"/g)].map(([, id]) => id)).toEqual([
    "stream-tenant-99",
  ]);
});

test("the name of an unknown stream shows all streams", () => {
  expect(renderPage(documentOf(busyStream()), "other")).toContain('id="stream-acme"');
});

/** Late events in every window: the largest page of usual content. */
function costly(stream: string) {
  const windows = busyStream().windows.map((window) => ({ ...window, late: 1, events: 12_345 }));
  return busyStream({ stream, windows, hours: hoursOf(windows) });
}

test("the page of a large ledger stays under 300 KB, and takes under 100 ms", () => {
  // However large the ledger is, the document has 300 windows and seven days of hours for each stream.
  const large = documentOf(...["one", "two", "three", "four", "five", "six"].map(costly));
  renderPage(large);
  const before = process.cpuUsage();
  const page = renderPage(large);
  const { user, system } = process.cpuUsage(before);
  expect(Buffer.byteLength(page)).toBeLessThan(300_000);
  expect((user + system) / 1000).toBeLessThan(100);
});

test("the page of a hundred streams stays under 300 KB", () => {
  const streams = tenants(100);
  expect(Buffer.byteLength(renderPage(documentOf(...streams)))).toBeLessThan(300_000);
});

test("the figures of the last 24 hours are not those of the last exported day", () => {
  const { last24Hours } = streamOf();
  const behind = busyStream({ state: "behind", last24Hours, hours: busyStream().hours.slice(0, 100), windows: [] });
  const text = textOf(renderPage(documentOf(behind)));
  expect(text).toContain("0 events in 0 windows, 0 B");
  expect(text).toContain("No events");
});
