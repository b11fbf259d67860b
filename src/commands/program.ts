import { setMaxListeners } from "node:events";
import { Command, CommanderError } from "commander";
import { ExporterError, exitCodeOf, UsageError } from "../errors.ts";
import { EXPORTER } from "../version.ts";
import { check } from "./check.ts";
import { addCommand, DEFAULT_CONFIG, type CommandDefinition, type Run } from "./command.ts";
import { demo } from "./demo.ts";
import { exportPeriod } from "./export.ts";
import { gc } from "./gc.ts";
import { health } from "./health.ts";
import { keygen } from "./keygen.ts";
import { once } from "./once.ts";
import { quarantineList } from "./quarantine.ts";
import { reconcile } from "./reconcile.ts";
import { run } from "./run.ts";
import { simulate } from "./simulate.ts";
import { status } from "./status.ts";
import { verify } from "./verify.ts";

/** Runs the command of a command line. Resolves with the exit code, after sysexits.h. */
export async function main(argv: readonly string[]): Promise<number> {
  const stop = new AbortController();
  // Each request and each file under way listens to it, and there is no limit to warn about.
  setMaxListeners(0, stop.signal);
  const unlisten = listenForSignals(stop);
  // When the reader of our output goes away, the write fails; without a listener the process would crash.
  process.stdout.on("error", () => undefined);
  let chosen: Run | undefined;
  try {
    await program((run) => (chosen = run)).parseAsync(argv);
    return chosen === undefined ? 0 : await chosen(stop.signal);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 64;
    if (stop.signal.aborted) return stoppedBy(stop.signal);
    await report(error);
    return exitCodeOf(error);
  } finally {
    unlisten();
  }
}

/** The first signal stops the command, the second ends the process at once. */
function listenForSignals(stop: AbortController): () => void {
  const onSignal = (name: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(stoppedBy(stop.signal));
    stop.abort(new Stopped(name));
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return () => {
    process.off("SIGTERM", onSignal);
    process.off("SIGINT", onSignal);
  };
}

/** Why a command was aborted: the process got a signal. */
class Stopped extends Error {
  override readonly name = "Stopped";
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`${signal} received`);
    this.signal = signal;
  }
}

/** The exit code that a shell gives for the signal: a command that was stopped has not finished its work. */
function stoppedBy({ reason }: AbortSignal): number {
  return reason instanceof Stopped && reason.signal === "SIGINT" ? 130 : 143;
}

/** Reports an error that nothing caught and exits. Secrets, which errors of HTTP clients contain, are left out. */
export function crash(error: unknown): void {
  void report(error).finally(() => process.exit(exitCodeOf(error)));
}

async function report(error: unknown): Promise<void> {
  if (error instanceof ExporterError) {
    process.stderr.write(`siem-export: ${error.message}\n${error.hint === undefined ? "" : `  → ${error.hint}\n`}`);
  } else if (error instanceof UsageError) {
    process.stderr.write(`siem-export: ${error.message}\n`);
  } else {
    const { errorMembers } = await import("../observe/log.ts");
    const { stack, message } = errorMembers(error);
    process.stderr.write(`siem-export: a bug; please report it\n${String(stack ?? message)}\n`);
  }
}

const COMMANDS: readonly CommandDefinition[] = [
  run,
  once,
  exportPeriod,
  check,
  status,
  reconcile,
  health,
  keygen,
  verify,
  gc,
  simulate,
  demo,
];

function program(choose: (run: Run) => void): Command {
  const root = new Command("siem-export")
    .description(
      "Exports SaaS audit logs, window by window, to S3, a folder or syslog. Nothing is lost, nothing is altered.",
    )
    .version(EXPORTER.version)
    .showHelpAfterError("(see siem-export --help)")
    .exitOverride()
    .addHelpText("after", ROOT_HELP);
  for (const definition of COMMANDS) addCommand(root, definition, choose);
  const quarantine = root.command("quarantine").description("items that could not be exported");
  addCommand(quarantine, quarantineList, choose);
  return root;
}

const ROOT_HELP = `
Start here:
  siem-export demo                 see it work, no account needed
  siem-export check                test configuration and permissions
  siem-export run                  run the worker

The configuration is ${DEFAULT_CONFIG}; copy config/exporter.example.yaml to start.

Exit codes: 0 done · 64 wrong usage · 65 something is missing or wrong (verify, reconcile, gc, quarantine) · 69 refused · 70 a bug · 74 ledger damaged ·
75 unavailable, after retries · 76 the API broke its contract · 77 not authorised · 78 wrong configuration
`;
