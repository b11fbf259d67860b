/* Shared by all benchmarks: starts the simulator and the program, each in its own process, and measures what they use. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { startRgw, type S3Server } from "../test/support/rgw.ts";

export const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const USAGE = new URL("usage.mjs", import.meta.url).href;

export const BUCKET = "bench";
/** A Tuesday. The simulated clock is just after the exported span, so each run has the same windows. */
export const MIDNIGHT = Date.parse("2026-11-17T00:00:00Z");
export const HOUR_MS = 3_600_000;
const LAG_MS = 150_000;

/** The resources that a process used from its start to its end. */
export interface Usage {
  readonly wallS: number;
  /** User and system time of all its threads. */
  readonly cpuS: number;
  readonly peakMB: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Api {
  readonly url: string;
  readonly token: string;
  /** The source of a stream's configuration. */
  readonly source: { readonly type: "pachca"; readonly baseUrl: string; readonly token: string };
  /** With --verbose: the start of each request, in milliseconds, and its status. */
  requests(): { readonly atMs: number; readonly status: number }[];
  stop(): Promise<void>;
}

/** The simulator, with history in `[from, to)` and its clock just after it, with the vendor's limits by default. */
export async function startApi(
  span: { from: number; to: number },
  ...flags: readonly (string | number)[]
): Promise<Api> {
  const clockOffset = Math.round((span.to + LAG_MS - Date.now()) / 1000);
  const bounds = ["--since", instant(span.from), "--until", instant(span.to), "--clock-offset", clockOffset];
  const args = [MAIN, "simulate", "--json", "--port", 0, "--no-record-reads", ...bounds, ...flags].map(String);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const log: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => log.push(chunk));
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const { url, token } = JSON.parse(line.toString()) as { url: string; token: string };
  return {
    url,
    token,
    source: { type: "pachca", baseUrl: url, token },
    requests() {
      const lines = Buffer.concat(log)
        .toString()
        .matchAll(/^(\S+) GET \S+ (\d+) \d+ B ([\d.]+) ms/gm);
      return [...lines].map(([, at = "", status, took]) => ({
        atMs: Date.parse(at) - Number(took),
        status: Number(status),
      }));
    },
    async stop() {
      process.off("exit", end);
      end();
      await once(child, "close");
    },
  };
}

/** Runs a Node program to its end. @throws when its exit code is not 0 */
export async function measured(args: readonly string[], stdin?: string): Promise<Usage> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ["--import", USAGE, ...args], { stdio: ["pipe", "pipe", "pipe", "pipe"] });
  child.stdin.end(stdin);
  const texts = [1, 2, 3].map((fd) => {
    const chunks: Buffer[] = [];
    child.stdio[fd]?.on("data", (chunk: Buffer) => chunks.push(chunk));
    return chunks;
  });
  const [code] = (await once(child, "close")) as [number | null];
  const wallS = (performance.now() - startedMs) / 1000;
  const [stdout = "", stderr = "", usage = ""] = texts.map((chunks) => Buffer.concat(chunks).toString());
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${String(code)}: ${stderr}`);
  return { wallS, ...(JSON.parse(usage) as { cpuS: number; peakMB: number }), stdout, stderr };
}

/** The output of `once --json` for its stream. */
export interface Report {
  readonly events: number;
  readonly windows: number;
  readonly bytes: number;
}

/** One run of the built program with a configuration of one stream. */
export async function exportOnce(folder: string, stream: object): Promise<Usage & Report> {
  const usage = await program(folder, ["once", "--json"], stream);
  return { ...usage, ...(JSON.parse(usage.stdout) as Report) };
}

/** Runs a command of the built program in `folder`, with a configuration of one stream. */
export async function program(folder: string, args: readonly string[], stream: object): Promise<Usage> {
  const config = join(folder, "exporter.yaml");
  writeFileSync(
    config,
    JSON.stringify({ streams: [{ name: "bench", ...stream }], server: false, stateDirectory: folder }),
  );
  return measured([MAIN, ...args, "--config", config]);
}

export const bare = (): Promise<Usage> => measured(["-e", "0"]);
export const help = (): Promise<Usage> => measured([MAIN, "--help"]);

/** A folder that is deleted after the work. */
export async function inFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "siem-export-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export type S3Sink = S3Server & { readonly type: "s3"; readonly bucket: string; readonly region: string };

/** Ceph's S3 gateway with an empty bucket, during the work. */
export async function withS3<Result>(work: (sink: S3Sink) => Promise<Result>): Promise<Result> {
  // The SDK's warning about future Node.js versions is irrelevant here.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const { server, stop } = await startRgw();
  try {
    const { endpoint, ...credentials } = server;
    const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    return await work({ type: "s3", bucket: BUCKET, region: "us-east-1", ...server });
  } finally {
    await stop();
  }
}

export const instant = (ms: number): string => new Date(ms).toISOString();

/** The line above each table: machine and date. */
export const machine = (): string =>
  `Node.js ${process.version}, ${cpus()[0]?.model.trim() ?? ""}, ${cpus().length} cores, ${instant(Date.now()).slice(0, 10)}`;

/** Prints rows as a Markdown table. */
export function table(title: string, rows: readonly Readonly<Record<string, string | number>>[]): void {
  const names = Object.keys(rows[0] ?? {});
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  console.log(`\n${title}\n`);
  console.log(
    [line(names), line(names.map(() => "---")), ...rows.map((row) => line(names.map((name) => row[name] ?? "")))].join(
      "\n",
    ),
  );
}

export const whole = (value: number): string => Math.round(value).toLocaleString("en");
export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** A proxy in front of a store, which counts the requests. */
export async function countingProxy(endpoint: string) {
  let requests = 0;
  let listings = 0;
  const server = createServer((asked, answer) => {
    requests++;
    if (asked.method === "GET" && (asked.url ?? "").includes("list-type")) listings++;
    const { method, headers } = asked;
    const onward = request(endpoint + (asked.url ?? ""), { method, headers }, (got) => {
      answer.writeHead(got.statusCode ?? 500, got.headers);
      got.pipe(answer);
    });
    asked.pipe(onward);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    listings: () => listings,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
