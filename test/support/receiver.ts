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

/** A message as the receiver parsed it, and as it arrived. */
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

/** A syslog receiver on loopback with its own folder, which writes each message as a line of JSON. */
export interface Receiver<Input extends string> {
  readonly ports: Readonly<Record<Input, number>>;
  readonly certificates: Certificates;
  /** All messages that it has written since the last `forget`. */
  written(): readonly Received[];
  /** The same, as soon as there are `count`. @throws when they do not arrive in time */
  received(count: number, timeoutMs?: number): Promise<readonly Received[]>;
  /** Ignores everything that it has written so far. */
  forget(): void;
  /** Resolves when it accepts connections. */
  start(): Promise<void>;
  /** Kills it. The messages that it has written stay. */
  kill(): Promise<void>;
  /** Kills it, and deletes its folder. */
  stop(): Promise<void>;
}

/** The differences between receivers. */
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
  /** The configuration, and the file that it writes. */
  readonly conf: string;
  readonly out: string;
}

/** Starts it. The caller stops it. */
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

/** A receiver needs no privileges, so it does not run as root. */
function startAsNobody(program: string, args: readonly string[], env?: Kind<string>["env"]): ChildProcess {
  if (!isRoot) return startServer(program, args, env);
  const nobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  // A change of the user resets the signal of the parent's death, so it is set again.
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
      // A kill may leave a line without its end. The next line follows it.
      for (const line of lines) if (line.endsWith("}")) messages.push(JSON.parse(line) as Received);
      rest = text.subarray(end);
    }
    return messages;
  };
  return {
    written: () => [...read()],
    async received(count, timeoutMs = 30_000) {
      // The watcher started before this look, so a later write gives an event.
      const watcher = watch(path);
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        while (read().length < count) await once(watcher, "change", { signal });
      } catch (cause) {
        throw new Error(`${messages.length} of ${count} messages arrived within ${timeoutMs} ms`, { cause });
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
