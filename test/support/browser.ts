import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe, { type AxeResults } from "axe-core";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { installed } from "./process.ts";

const PROGRAM = "/usr/bin/chromium";
const ARGUMENTS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

/** False, and said in a line, where there is no browser. @throws with REQUIRE_SERVERS=1 when it is missing */
export function browserInstalled(): boolean {
  if (installed(PROGRAM)) return true;
  const line = "left out: the status page in a browser, Chromium is not installed here; .ci/servers installs it";
  if (process.env["REQUIRE_SERVERS"] === "1") throw new Error(line);
  console.log(line);
  return false;
}

export interface Screens {
  /** Where screenshots are kept, for a person to look at. */
  readonly folder: string;
  /** A page of its own for one test. */
  open(url: string, options?: BrowserContextOptions): Promise<Screen>;
  close(): Promise<void>;
}

export interface Screen {
  readonly page: Page;
  /** What the browser complained about: errors of scripts, in the console, and against the policy. */
  readonly complaints: readonly string[];
  readonly screenshot: (name: string) => Promise<void>;
}

/** A real browser, until it is closed. */
export async function screens(): Promise<Screens> {
  const browser: Browser = await chromium.launch({ executablePath: PROGRAM, args: ARGUMENTS });
  const folder = await mkdtemp(join(tmpdir(), "status-page-"));
  return {
    folder,
    async open(url, options) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      onTestFinished(() => context.close());
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
      });
      await page.goto(url);
      const screenshot = async (name: string): Promise<void> => {
        await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
      };
      return { page, complaints, screenshot };
    },
    close: () => browser.close(),
  };
}

/** What the accessibility checker finds wrong, a line each: rule, and the elements. */
export async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const results = await page.evaluate<AxeResults>("axe.run()");
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** True when the page is wider than the screen. */
export async function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate<boolean>("document.documentElement.scrollWidth > innerWidth");
}
