import { InvalidArgumentError, type Command } from "commander";
import { UsageError } from "../errors.ts";
import { parseInstant, type EpochMs } from "../time.ts";

/** What a command does once the command line is read: it resolves with the exit code. */
export type Run = (signal: AbortSignal) => Promise<number>;

interface SimulateFlags {
  readonly host: string;
  readonly port: number;
  readonly seed: number;
  readonly eventsPerDay: number;
  readonly latency: number;
  readonly rateLimit: number;
  readonly pageLimit: number;
  readonly token?: string;
  readonly scopes?: readonly string[];
  readonly lateShare?: number;
  readonly lateSeconds: number;
  readonly tieSeconds?: number;
  readonly outOfOrder?: boolean;
  readonly clockOffset: number;
  readonly recordReads: boolean;
  readonly pretty?: boolean;
  readonly fault: Readonly<Record<string, number>>;
  readonly printHistory?: boolean | string;
  readonly from?: string;
  readonly to?: string;
  readonly since?: string;
  readonly until?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** Adds `simulate` and its flags to the command line. */
export function addSimulate(root: Command, choose: (run: Run) => void): void {
  root
    .command("simulate")
    .description("the audit APIs on loopback, behaving like the vendors', for trying out a pipeline")
    .option("--host <address>", "listen on", "127.0.0.1")
    .option("--port <number>", "listen on; 0 takes a free one", numberOf, 8080)
    .option("--seed <number>", "the histories are pure functions of it", numberOf, 1)
    .option("--events-per-day <number>", "how much happens in each", numberOf, 20_000)
    .option("--since <instant>", "nothing happened before (default: 90 days ago)")
    .option("--until <instant>", "nothing happens from then on")
    .option("--latency <ms>", "what each answer waits", numberOf, 0)
    .option("--rate-limit <number>", "requests to each API in any second, beyond them 429", numberOf, 50)
    .option("--page-limit <number>", "the largest page (communications-mining: 1000 at least)", numberOf, 50)
    .option("--token <token>", "the token that is accepted (default: it says which when it starts)")
    .option("--scopes <scope...>", "what the token may do")
    .option("--late-share <share>", "share of events that become visible late, 0 to 1", numberOf)
    .option("--late-seconds <seconds>", "how late at most", numberOf, 600)
    .option("--tie-seconds <seconds>", "all events of so many seconds share one instant", numberOf)
    .option("--out-of-order", "the events of a page of pachca's come in no order")
    .option("--clock-offset <seconds>", "how far its clock is ahead of this machine's", numberOf, 0)
    .option("--no-record-reads", "reading pachca's log is not an event of the log")
    .option("--pretty", "indented JSON")
    .option("--fault <name=share>", "make a share of the answers fail; may be given several times", faultOf, {})
    .option(
      "--print-history [api]",
      "print what an export of --from … --to must hold, and exit: pachca (default), communications-mining",
    )
    .option("--from <instant>", "with --print-history: inclusive")
    .option("--to <instant>", "with --print-history: exclusive")
    .option("--verbose", "an access log on stderr")
    .option("--json", "say where it listens as a line of JSON")
    .addHelpText("after", HELP)
    .action((flags: SimulateFlags) => choose((signal) => simulate(flags, signal)));
}

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

const HELP = `
Faults: ${FAULTS.slice(0, 10).join(", ")},
  ${FAULTS.slice(10).join(", ")} (…Every=N: one event of pachca's in N;
  statusError: 200 that says "error", of communications-mining)

Examples:
  siem-export simulate --events-per-day 20000 --latency 50 --fault serverError=0.01 --fault cutBody=0.01
  siem-export simulate --print-history communications-mining --from 2026-11-01T00:00:00Z --to 2026-11-01T01:00:00Z
`;

async function simulate(flags: SimulateFlags, signal: AbortSignal): Promise<number> {
  const { HISTORIES, printHistory, simulateCommand } = await import("./simulate.ts");
  const tieMs = flags.tieSeconds === undefined ? undefined : flags.tieSeconds * 1000;
  const { seed, eventsPerDay, pageLimit, token, scopes, recordReads, pretty, verbose, json } = flags;
  const history = {
    tieMs,
    seed,
    eventsPerDay,
    since: instantOf("--since", flags.since),
    until: instantOf("--until", flags.until),
  };
  if (flags.printHistory !== undefined) {
    const of = HISTORIES.find((api) => api === (flags.printHistory === true ? "pachca" : flags.printHistory));
    if (of === undefined)
      throw new UsageError(`--print-history ${String(flags.printHistory)}: there are ${HISTORIES.join(", ")}`);
    const [from, to] = [instantOf("--from", flags.from), instantOf("--to", flags.to)];
    if (from === undefined || to === undefined) throw new UsageError("--print-history needs --from and --to");
    await printHistory({ ...history, of, from, to }, process.stdout, signal);
    return 0;
  }
  const unknown = Object.keys(flags.fault).find((name) => !(FAULTS as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new UsageError(`--fault ${unknown}: there is no such fault; there are: ${FAULTS.join(", ")}`);
  await simulateCommand(
    {
      ...history,
      ...{ host: flags.host, port: flags.port, pageLimit, token, scopes, recordReads, pretty, verbose, json },
      latencyMs: flags.latency,
      requestsPerSecond: flags.rateLimit,
      clockOffsetMs: flags.clockOffset * 1000,
      lateness: flags.lateShare === undefined ? undefined : { share: flags.lateShare, maxSeconds: flags.lateSeconds },
      faults: { ...flags.fault, outOfOrder: flags.outOfOrder },
    },
    signal,
  );
  return 0;
}

function instantOf(flag: string, text: string | undefined): EpochMs | undefined {
  const instant = text === undefined ? undefined : parseInstant(text);
  if (text !== undefined && instant === undefined) {
    throw new UsageError(`${flag} ${text}: not an instant, such as 2026-11-01T00:00:00Z`);
  }
  return instant;
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
