import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

/*
 * `npm run demo`: builds the program, then runs the demo in this process, so that a signal to npm reaches the demo itself.
 */

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));

console.log("building, this takes about ten seconds …");
// The build is a process group, so that one signal stops all of it: npm, its shell and the compiler.
const build = spawn("npm", ["run", "--silent", "build"], { stdio: "inherit", detached: true });
const stop = (signal) => {
  process.kill(-build.pid, signal);
  process.exit(128 + constants.signals[signal]);
};
const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
for (const signal of signals) process.on(signal, stop);
const [code] = await once(build, "exit");
if (code !== 0) process.exit(code ?? 1);
for (const signal of signals) process.off(signal, stop);

process.argv = [process.execPath, MAIN, "demo", ...process.argv.slice(2)];
await import(MAIN);
