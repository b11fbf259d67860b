import { InvalidArgumentError } from "commander";
import { UsageError } from "../errors.ts";
import { parseInstant, type EpochMs } from "../time.ts";
import { command, text, texts, toggle, withDefault, type Flag, type OptionsOf } from "./command.ts";

const flags = {
  host: withDefault(text("address", "listen on this address"), "127.0.0.1"),
  port: number("number", "listen on this port; 0 picks a free one", 8080),
  seed: number("number", "the same seed always gives the same events", 1),
  eventsPerDay: number("number", "events per day in each API", 20_000),
  since: text("time", "no events before this time (default: 90 days ago)"),
  until: text("time", "no events at or after this time"),
  latency: number("ms", "the delay of each answer", 0),
  rateLimit: number("number", "requests per second to each API; more get 429", 50),
  pageLimit: number("number", "the largest page (communications-mining: at least 1000)", 50),
  token: text("token", "the accepted token (default: a random one, shown at the start)"),
  scopes: texts("scope", "the scopes of the token"),
  lateShare: number("share", "share of events that become visible late, 0 to 1"),
  lateSeconds: number("seconds", "the longest delay of a late event", 600),
  tieSeconds: number("seconds", "give all events within this many seconds the same time"),
  outOfOrder: toggle("pachca: return the events of a page in no order"),
  clockOffset: number("seconds", "how far its clock is ahead of this machine's", 0),
  recordReads: {
    about: "pachca: reading the log does not add an event to the log",
    fallback: true,
  } satisfies Flag<boolean>,
  pretty: toggle("indented JSON"),
  fault: {
    takes: "<name=share>",
    about: "make this share of the answers fail, 0 to 1; can be repeated",
    fallback: {},
    parse: faultOf,
  } satisfies Flag<Readonly<Record<string, number>>>,
  printHistory: {
    takes: "[api]",
    about: "print what an export of --from … --to must contain, and exit: pachca (default), communications-mining",
  } as Flag<true | string | undefined>,
  from: text("time", "with --print-history: inclusive"),
  to: text("time", "with --print-history: exclusive"),
  verbose: toggle("write an access log to stderr"),
  json: toggle("print the address as a line of JSON"),
};

const FAULTS = [
  "rateLimited",
  "serverError",
  "unpaid",
  "html",
  "statusError",
  "cutBody",
  "truncatedJson",
  "reset",
  "silence",
  "stalledBody",
  "cursorLoop",
  "poisonEvery",
  "invalidUtf8Every",
  "hugeEvery",
] as const;

export const simulate = command({
  name: "simulate",
  about: "runs simulated audit APIs of both vendors on this machine, to try a pipeline",
  flags,
  help: `
Faults: ${FAULTS.slice(0, 10).join(", ")},
  ${FAULTS.slice(10).join(", ")}
  …Every=N affects one in N events of pachca; statusError is an HTTP 200 with the status "error", from communications-mining

Examples:
  siem-export simulate --events-per-day 20000 --latency 50 --fault serverError=0.01 --fault cutBody=0.01
  siem-export simulate --print-history communications-mining --from 2026-11-01T00:00:00Z --to 2026-11-01T01:00:00Z`,
  run: simulateApis,
});

async function simulateApis(options: OptionsOf<typeof flags>, signal: AbortSignal): Promise<number> {
  const { HISTORIES, printHistory, simulateCommand } = await import("./run-simulator.ts");
  const tieMs = options.tieSeconds === undefined ? undefined : options.tieSeconds * 1000;
  const { seed, eventsPerDay, pageLimit, token, scopes, recordReads, pretty, verbose, json } = options;
  const history = {
    tieMs,
    seed,
    eventsPerDay,
    since: instantOf("--since", options.since),
    until: instantOf("--until", options.until),
  };
  if (options.printHistory !== undefined) {
    const of = HISTORIES.find((api) => api === (options.printHistory === true ? "pachca" : options.printHistory));
    if (of === undefined)
      throw new UsageError(`--print-history ${String(options.printHistory)}: there are ${HISTORIES.join(", ")}`);
    const [from, to] = [instantOf("--from", options.from), instantOf("--to", options.to)];
    if (from === undefined || to === undefined) throw new UsageError("--print-history needs --from and --to");
    await printHistory({ ...history, of, from, to }, process.stdout, signal);
    return 0;
  }
  const unknown = Object.keys(options.fault).find((name) => !(FAULTS as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new UsageError(`--fault ${unknown}: there is no such fault; there are: ${FAULTS.join(", ")}`);
  await simulateCommand(
    {
      ...history,
      ...{ host: options.host, port: options.port, pageLimit, token, scopes, recordReads, pretty, verbose, json },
      latencyMs: options.latency,
      requestsPerSecond: options.rateLimit,
      clockOffsetMs: options.clockOffset * 1000,
      lateness:
        options.lateShare === undefined ? undefined : { share: options.lateShare, maxSeconds: options.lateSeconds },
      faults: { ...options.fault, outOfOrder: options.outOfOrder },
    },
    signal,
  );
  return 0;
}

function instantOf(flag: string, text: string | undefined): EpochMs | undefined {
  const instant = text === undefined ? undefined : parseInstant(text);
  if (text !== undefined && instant === undefined) {
    throw new UsageError(`${flag} ${text}: not a time in UTC, such as 2026-11-01T00:00:00Z`);
  }
  return instant;
}

function number(takes: string, about: string, fallback: number): Flag<number>;
function number(takes: string, about: string): Flag<number | undefined>;
function number(takes: string, about: string, fallback?: number): Flag<number | undefined> {
  return { takes: `<${takes}>`, about, parse: numberOf, ...(fallback !== undefined && { fallback }) };
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("not a number.");
  return value;
}

function faultOf(text: string, before: Readonly<Record<string, number>>): Record<string, number> {
  const [, name, value] = /^(\w+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError("write it as name=value.");
  return { ...before, [name]: numberOf(value) };
}
