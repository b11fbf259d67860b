#!/usr/bin/env node
import { crash, main } from "./cli.ts";

process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);
process.exitCode = await main(process.argv);
// What was printed may still be on its way into a pipe; idle keep-alive connections would hold the process for seconds.
process.stdout.write("", () => process.exit());
