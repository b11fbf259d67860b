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

/** Whether there is a browser; if not, prints a line about it. @throws with REQUIRE_SERVERS=1 when it is missing */
export function browserInstalled(): boolean {
  if (installed(PROGRAM)) return true;
  const line = "skipped: the status page in a browser, because Chromium is not installed; .ci/servers installs it";
  if (process.env["REQUIRE_SERVERS"] === "1") throw new Error(line);
  console.log(line);
  return false;
}

export interface Screens {
  /** The folder of the screenshots, for a person to look at. */
  readonly folder: string;
  /** Opens a new page, until the test ends. */
  open(url: string, options?: BrowserContextOptions): Promise<Screen>;
  close(): Promise<void>;
}

export interface Screen {
  readonly page: Page;
  /** What the browser reported: errors of scripts, console warnings, violations of the content security policy. */
  readonly complaints: readonly string[];
  readonly screenshot: (name: string) => Promise<void>;
}

/** Starts a real browser. */
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

/** The accessibility problems of a page, a line each: the rule and the elements. */
export async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const results = await page.evaluate<AxeResults>("axe.run()");
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** Whether the page is wider than the screen. */
export async function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate<boolean>("document.documentElement.scrollWidth > innerWidth");
}
