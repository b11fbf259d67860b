import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { installed } from "./process.ts";

/** The built program. */
const MAIN = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

export interface ProgramOptions {
  /** The whole environment except PATH and HOME: the settings of this machine must not influence a test. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** How it ended, and its output. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as bytes. */
  readonly bytes: Buffer;
}

export interface Program {
  /** The output so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves with the match when the output matches. @throws when the program ends before */
  saw(pattern: RegExp, stream?: "stdout" | "stderr"): Promise<RegExpExecArray>;
  /** Resolves when it has written this many lines with this text to stderr, or has ended. */
  wrote(lines: number, containing?: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
}

const TIED = installed("setpriv");

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts the built program. */
export function start(args: readonly string[], { env = {}, cwd }: ProgramOptions = {}): Program {
  const { PATH, HOME } = process.env;
  // With setpriv, it dies with this process, however this process ends.
  const tied = TIED ? ["setpriv", "--pdeathsig", "KILL", "--"] : [];
  const [program = "", ...rest] = [...tied, process.execPath, MAIN, ...args];
  const child = spawn(program, rest, {
    env: { PATH, HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    cwd,
  });
  running.add(child);
  const said: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  for (const name of ["stdout", "stderr"] as const) child[name].on("data", (chunk: Buffer) => said[name].push(chunk));
  const text = (name: "stdout" | "stderr") => Buffer.concat(said[name]).toString();

  const ended = once(child, "close").then((): Ended => {
    running.delete(child);
    const { exitCode: code, signalCode: signal } = child;
    return { code, signal, stdout: text("stdout"), stderr: text("stderr"), bytes: Buffer.concat(said.stdout) };
  });

  /** Calls `look` after each piece of output, and a last time at the end. */
  async function until<Found>(look: () => Found | undefined): Promise<Found | undefined> {
    for (;;) {
      const found = look();
      if (found !== undefined || child.exitCode !== null || child.signalCode !== null) {
        return found ?? (await ended, look());
      }
      const stop = new AbortController();
      const { signal } = stop;
      await Promise.race([once(child.stdout, "data", { signal }), once(child.stderr, "data", { signal }), ended]);
      stop.abort();
    }
  }

  return {
    get stdout() {
      return text("stdout");
    },
    get stderr() {
      return text("stderr");
    },
    async saw(pattern, stream = "stderr") {
      const match = await until(() => pattern.exec(text(stream)) ?? undefined);
      if (match !== undefined) return match;
      const { code, signal, stdout, stderr } = await ended;
      throw new Error(`${args[0] ?? ""} ended (${code ?? signal ?? ""}) without ${pattern}:\n${stdout}\n${stderr}`);
    },
    async wrote(lines, containing = "") {
      // The text after the last newline is not a line yet.
      const written = () => text("stderr").split("\n").slice(0, -1);
      await until(() => written().filter((line) => line.includes(containing)).length >= lines || undefined);
    },
    kill: (signal) => void child.kill(signal),
    ended,
  };
}

/** Runs the built program to its end. */
export function run(args: readonly string[], options?: ProgramOptions): Promise<Ended> {
  return start(args, options).ended;
}
