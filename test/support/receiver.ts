import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificates, type Certificates } from "./certificates.ts";
import { freePort, portOpen, startServer, stopServer } from "./process.ts";

/** A message as a receiver understood it, and as it came over the wire. */
export interface Received {
  readonly priority: string;
  readonly timestamp: string;
  readonly hostname: string;
  readonly appName: string;
  readonly processId: string;
  readonly messageId: string;
  readonly structuredData: string;
  readonly message: string;
  readonly wire: string;
}

/** A syslog receiver on loopback with a folder of its own, which writes down what it gets as JSON, a line a message. */
export interface Receiver<Input extends string> {
  readonly ports: Readonly<Record<Input, number>>;
  readonly certificates: Certificates;
  /** All messages since the last `forget` that it has written down by now. */
  written(): readonly Received[];
  /** The same, as soon as there are so many. @throws when they do not come in time */
  received(count: number, timeoutMs?: number): Promise<readonly Received[]>;
  /** Begins anew after what it has written down by now. */
  forget(): void;
  /** Resolves when it takes connections. */
  start(): Promise<void>;
  /** At once, without a word to anyone. What it has written down stays. */
  kill(): Promise<void>;
  /** Kills it, and takes its folder away. */
  stop(): Promise<void>;
}

/** What makes the one receiver differ from the other. */
export interface Kind<Input extends string> {
  readonly name: string;
  /** One port each. All but `udp` listen for connections. */
  readonly inputs: readonly Input[];
  configuration(places: Places<Input>): string;
  command(places: Places<Input>): readonly [program: string, ...args: string[]];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Places<Input extends string> extends Pick<Receiver<Input>, "ports" | "certificates"> {
  readonly folder: string;
  /** The configuration, and where it writes. */
  readonly conf: string;
  readonly out: string;
}

/** Starts it; the caller stops it. */
export async function startReceiver<Input extends string>(kind: Kind<Input>): Promise<Receiver<Input>> {
  const folder = mkdtempSync(join(tmpdir(), `siem-export-${kind.name}-`));
  const certificates = makeCertificates(folder);
  const ports = {} as Record<Input, number>;
  for (const input of kind.inputs) ports[input] = await freePort();
  const places = { folder, conf: join(folder, "receiver.conf"), out: join(folder, "received"), ports, certificates };
  writeFileSync(places.conf, kind.configuration(places));
  writeFileSync(places.out, "");
  giveToNobody(folder);

  let child: ChildProcess | undefined;
  const inbox = openInbox(places.out);
  const receiver: Receiver<Input> = {
    ...{ ports, certificates, written: inbox.written, received: inbox.received, forget: inbox.forget },
    async start() {
      const [program, ...args] = kind.command(places);
      const server = startAsNobody(program, args, kind.env);
      child = server;
      const listening = kind.inputs.filter((input) => input !== "udp");
      await Promise.all(listening.map((input) => portOpen(ports[input], server)));
    },
    async kill() {
      if (child !== undefined) await stopServer(child);
    },
    async stop() {
      await receiver.kill();
      inbox.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await receiver.start();
  } catch (error) {
    await receiver.stop();
    throw error;
  }
  return receiver;
}

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

/** A receiver needs no privileges; where we have them, it gets none. */
function startAsNobody(program: string, args: readonly string[], env?: Kind<string>["env"]): ChildProcess {
  if (!isRoot) return startServer(program, args, env);
  const nobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  // Who changes user is let off dying with its parent, and has to be told again.
  return startServer("setpriv", [...nobody, "--pdeathsig", "KILL", "--", program, ...args], env);
}

function giveToNobody(folder: string): void {
  if (!isRoot) return;
  for (const name of [".", ...readdirSync(folder)]) chownSync(join(folder, name), NOBODY, NOBODY);
}

function openInbox(path: string): Pick<Receiver<string>, "written" | "received" | "forget"> & { close(): void } {
  const file = openSync(path, "r");
  const piece = Buffer.alloc(1 << 20);
  let at = 0;
  let rest = Buffer.alloc(0);
  let messages: Received[] = [];
  const read = (): readonly Received[] => {
    for (let bytes = 1; bytes > 0; at += bytes) {
      bytes = readSync(file, piece, 0, piece.length, at);
      const text = Buffer.concat([rest, piece.subarray(0, bytes)]);
      const end = text.lastIndexOf("\n") + 1;
      const lines = text.toString("utf8", 0, end).split("\n").slice(0, -1);
      // A line without its end is what the receiver was killed over; another begins after it.
      for (const line of lines) if (line.endsWith("}")) messages.push(JSON.parse(line) as Received);
      rest = text.subarray(end);
    }
    return messages;
  };
  return {
    written: () => [...read()],
    async received(count, timeoutMs = 30_000) {
      // What is written after we looked makes an event, for the watcher was there before.
      const watcher = watch(path);
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        while (read().length < count) await once(watcher, "change", { signal });
      } catch (cause) {
        throw new Error(`${messages.length} of ${count} messages came within ${timeoutMs} ms`, { cause });
      } finally {
        watcher.close();
      }
      return [...messages];
    },
    forget() {
      read();
      messages = [];
    },
    close() {
      closeSync(file);
    },
  };
}
