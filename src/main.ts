#!/usr/bin/env node
import { main } from "./cli.ts";

process.exitCode = await main(process.argv);
// Idle keep-alive connections would hold the process for seconds.
process.exit();
