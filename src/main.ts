#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";
import { crash, main } from "./commands/program.ts";

// Pages come and go outside of V8's heap, in memory that it is in no hurry to give back. So its young part stays small, and it
// looks for what is dead when the old part has grown by half: the peak of a busy worker is halved, for a fifth more CPU time.
setFlagsFromString("--semi-space-growth-factor=1");
setFlagsFromString("--heap-growing-percent=50");

process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);
process.exitCode = await main(process.argv);
// What was printed may still be on its way into a pipe; idle keep-alive connections would hold the process for seconds.
process.stdout.write("", () => process.exit());
