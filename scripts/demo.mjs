import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

/*
 * `npm run demo`: builds the program, then runs the demo in this process, so that a signal to npm reaches the demo itself.
 */

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

let build;
function stop(signal) {
  if (build?.exitCode === null) process.kill(-build.pid, signal);
  process.exit(128 + constants.signals[signal]);
}
// Until the demo listens itself, so that there is no moment in which a signal leaves the compiler running.
for (const signal of SIGNALS) process.on(signal, stop);

console.log("building, this takes about ten seconds …");
// The build is a process group, so that one signal stops all of it: npm, its shell and the compiler.
build = spawn("npm", ["run", "--silent", "build"], { stdio: "inherit", detached: true });
const [code] = await once(build, "exit");
if (code !== 0) process.exit(code ?? 1);

process.on("newListener", (name) => {
  if (SIGNALS.includes(name)) setTimeout(() => process.off(name, stop), 0);
});
process.argv = [process.execPath, MAIN, "demo", ...process.argv.slice(2)];
await import(MAIN);
