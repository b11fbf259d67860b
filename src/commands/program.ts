import { Command, CommanderError, Option } from "commander";
import { addArchive } from "./program-archive.ts";
import { addSimulate, type Run } from "./program-simulate.ts";
import { ExporterError, exitCodeOf, UsageError } from "../errors.ts";
import { EXPORTER } from "../version.ts";

const DEFAULT_CONFIG = "config/exporter.yaml";

/**
 * The command line. Resolves with the exit code, after sysexits.h. Commands are loaded when they are called, so that
 * `--help` answers at once.
 */
export async function main(argv: readonly string[]): Promise<number> {
  const stop = new AbortController();
  const unlisten = listenForSignals(stop);
  // A reader of our output that goes away is met where we write, not as a crash.
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

/** The first signal asks to stop, the second ends the process at once. */
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

/** The reason of an abort that a signal asked for. */
class Stopped extends Error {
  override readonly name = "Stopped";
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`${signal} received`);
    this.signal = signal;
  }
}

/** As a shell says it: a command that was stopped before its end has not done what it was asked for. */
function stoppedBy({ reason }: AbortSignal): number {
  return reason instanceof Stopped && reason.signal === "SIGINT" ? 130 : 143;
}

/** For what nobody caught: a bug. Said without secrets, which the errors of HTTP clients are full of. */
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

function program(choose: (run: Run) => void): Command {
  const root = new Command("siem-export")
    .description("Exports SaaS audit logs, window by window, to S3 or a folder. Nothing is lost, nothing is altered.")
    .version(EXPORTER.version)
    .showHelpAfterError("(siem-export --help shows what there is)")
    .exitOverride()
    .addHelpText("after", ROOT_HELP);

  const withConfig = (name: string, description: string, parent = root): Command =>
    parent
      .command(name)
      .description(description)
      .addOption(
        new Option("-c, --config <file>", "the configuration").env("SIEM_EXPORT_CONFIG").default(DEFAULT_CONFIG),
      );

  withConfig("run", "the worker: exports each stream by its schedule, until SIGTERM")
    .addHelpText("after", "\nExample:\n  siem-export run --config /etc/siem-export/exporter.yaml\n")
    .action((options: { config: string }) => {
      choose(async (signal) => (await import("./run.ts")).runCommand(options, signal));
    });

  withConfig("once", "one tick of each stream: exports what is ready, then exits")
    .option("-s, --stream <name...>", "only these streams")
    .option("--json", "a line of JSON for each stream")
    .addHelpText("after", "\nExample, in place of a worker, from cron:\n  siem-export once --stream pachca-acme\n")
    .action((options: { config: string; stream?: string[]; json?: boolean }) => {
      choose(async (signal) => (await import("./once.ts")).onceCommand(options, signal));
    });

  withConfig("export", "one period to a file or to stdout; the ledger is not touched")
    .requiredOption("-s, --stream <name>", "whose source to read")
    .requiredOption("--from <instant>", "inclusive, such as 2026-11-01T00:00:00Z")
    .requiredOption("--to <instant>", "exclusive")
    .option("-o, --out <file>", "a file that does not exist yet, or - for stdout", "-")
    .option("-k, --event-key <key...>", "only events of these keys")
    .addHelpText(
      "after",
      "\nExample:\n  siem-export export -s pachca-acme --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z -k user_login -o logins.ndjson\n",
    )
    .action(
      (options: { config: string; stream: string; from: string; to: string; out: string; eventKey?: string[] }) => {
        choose(async (signal) => (await import("./export.ts")).exportCommand(options, signal));
      },
    );

  withConfig("check", "preflight: configuration, token and scope, clock, bucket or folder; says what to do")
    .option("-s, --stream <name...>", "only these streams")
    .option("--json", "a line of JSON for each finding")
    .addHelpText(
      "after",
      "\nExit code: 0 when nothing failed, else that of the worst (siem-export --help tells them all).\n",
    )
    .action((options: { config: string; stream?: string[]; json?: boolean }) => {
      choose(async (signal) => (await import("./check.ts")).checkCommand(options, signal));
    });

  withConfig("status", "each stream: exported until, how far behind, last error")
    .option("-s, --stream <name...>", "only these streams")
    .option("--json", "one JSON document")
    .action((options: { config: string; stream?: string[]; json?: boolean }) => {
      choose(async (signal) => (await import("./status.ts")).statusCommand(options, signal));
    });

  withConfig("reconcile", "source against ledger for a past span: what is missing, what is extra")
    .requiredOption("-s, --stream <name>", "which stream")
    .requiredOption("--from <instant>", "inclusive, such as 2026-11-01T00:00:00Z")
    .requiredOption("--to <instant>", "exclusive")
    .option("--repair", "export what is missing; nothing that is there is rewritten")
    .option("--json", "one JSON document")
    .addHelpText("after", "\nExit code: 0 when nothing is missing (any more), 65 when something is.\n")
    .action(
      (options: { config: string; stream: string; from: string; to: string; repair?: boolean; json?: boolean }) => {
        choose(async (signal) => (await import("./reconcile.ts")).reconcileCommand(options, signal));
      },
    );

  withConfig("health", "asks the worker on this machine whether it turns over: for a container's health check").action(
    (options: { config: string }) => {
      choose(async (signal) => (await import("./health.ts")).healthCommand(options, signal));
    },
  );

  root
    .command("keygen")
    .description("makes a pair of keys for signing manifests (ledger.signingKeyFile) and for verify --public-key")
    .option("-o, --out <name>", "the files become <name>.key and <name>.pub", "signing")
    .action((options: { out: string }) => {
      choose(async () => (await import("./keygen.ts")).keygenCommand(options));
    });

  addArchive(root, withConfig, choose);
  addSimulate(root, choose);
  root
    .command("demo")
    .description("simulator and worker on this machine: see it work, no account needed")
    .option("--for <duration>", "end by itself after this time, such as 30s (default: until Ctrl-C)")
    .option("--directory <folder>", "where the objects go", "demo-out")
    .action((options: { for?: string; directory: string }) => {
      choose(async (signal) => (await import("./demo.ts")).demoCommand(options, signal));
    });
  return root;
}

const ROOT_HELP = `
Start here:
  siem-export demo                 see it work, no account needed
  siem-export check                is everything right, and what to do if not
  siem-export run                  the worker

The configuration is ${DEFAULT_CONFIG}, made from config/exporter.example.yaml.

Exit codes: 0 done · 64 usage · 65 something is missing or wrong (verify, reconcile, gc, quarantine) · 69 refused · 70 a bug · 74 ledger damaged · 75 away, after retries ·
76 the API broke its contract · 77 not authorised · 78 configuration
`;
