import type { Command } from "commander";
import type { Run } from "./cli-simulate.ts";
import type { GcOptions } from "./commands/gc.ts";
import type { QuarantineOptions } from "./commands/quarantine.ts";
import type { VerifyCommandOptions } from "./commands/verify.ts";

type WithConfig = (name: string, description: string) => Command;

/** Adds the commands that read an archive as it lies there: `verify`, `gc` and `quarantine`. */
export function addArchive(withConfig: WithConfig, root: Command, choose: (run: Run) => void): void {
  addVerify(withConfig, choose);
  addGc(withConfig, choose);
  addQuarantine(root, choose);
}
