import type { Command } from "commander";
import type { Run } from "./program-simulate.ts";
import type { GcOptions } from "./gc.ts";
import type { QuarantineOptions } from "./quarantine.ts";
import type { VerifyCommandOptions } from "./verify.ts";

/** Makes a command that takes --config, of the root or of another command. */
export type WithConfig = (name: string, description: string, parent?: Command) => Command;
type Choose = (run: Run) => void;

/** Adds the commands that look at an archive as it lies there: `verify`, `gc` and `quarantine list`. */
export function addArchive(root: Command, withConfig: WithConfig, choose: Choose): void {
  addVerify(withConfig, choose);
  addGc(withConfig, choose);
  const quarantine = root.command("quarantine").description("the items that could not be exported");
  withConfig("list", "shows them, with the reasons", quarantine)
    .option("-s, --stream <name...>", "only these streams")
    .option("--json", "a line of JSON for each item")
    .action((options: QuarantineOptions) => {
      choose(async (signal) => (await import("./quarantine.ts")).quarantineListCommand(options, signal));
    });
}

function addVerify(withConfig: WithConfig, choose: Choose): void {
  withConfig("verify", "proves the archive offline: chain, every object, nothing missing, nothing added")
    .option("-s, --stream <name...>", "only these streams")
    .option("--from <instant>", "read only the objects of windows that end after this; the chain is checked as a whole")
    .option("--to <instant>", "read only the objects of windows that begin before this")
    .option("--public-key <file...>", "check signatures; FILE@FROM-TO for a key that signed only these sequences")
    .option("--expect-head <seq:sha256>", "a head that was noted elsewhere: nothing up to it is missing or made anew")
    .option("--max-age <duration>", "the newest window must end within this time, such as 1h")
    .option("--from-seq <seq>", "the chain begins here, for what came before has expired")
    .option("--expect-prev <sha256>", "of the manifest before --from-seq")
    .option("--json", "a line of JSON for each finding, and one for the summary")
    .addHelpText("after", VERIFY_HELP)
    .action((options: VerifyCommandOptions) => {
      choose(async (signal) => (await import("./verify.ts")).verifyCommand(options, signal));
    });
}

const VERIFY_HELP = `
Reading and listing the bucket or folder is all it needs; of the source nothing is asked. Its token must stand in the
configuration, as for every command; any text will do.

Without --public-key the archive is shown to be consistent: whoever can write there could have made it anew. Without
--expect-head or --max-age nothing shows that its newest windows were not taken away. A head to note elsewhere is in the log
of each tick, and in status --json.

Exit code: 0 nothing wrong · 65 something is · else why an archive could not be read (siem-export --help tells them all).

Example:
  siem-export verify -s pachca-acme --public-key signing.pub --max-age 1h
`;

function addGc(withConfig: WithConfig, choose: Choose): void {
  withConfig("gc", "finds what two workers that raced have left, and with --delete removes it")
    .option("-s, --stream <name...>", "only these streams")
    .option("--delete", "remove it; without this it is only shown")
    .option("--from-seq <seq>", "the chain begins here, for what came before has expired")
    .option("--json", "a line of JSON for each file")
    .addHelpText("after", GC_HELP)
    .action((options: GcOptions) => {
      choose(async (signal) => (await import("./gc.ts")).gcCommand(options, signal));
    });
}

const GC_HELP = `
Only a file that no manifest names is removed, at or below the newest manifest, a day old at least, and whose every line stands
in an untouched object that a manifest names. Where the chain does not hold, nothing is removed, and the exit code is 65.
It needs the right to delete (s3:DeleteObject), which the worker itself never has to have.
`;
