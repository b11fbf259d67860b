import { createSocket } from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { onTestFinished } from "vitest";

/** A receiver of a test, which keeps its messages. It closes at the end of the test. */
export interface SyslogReceiver {
  readonly port: number;
  /** Every message of all connections, in order. A message that was sent twice is there twice. */
  readonly messages: readonly Buffer[];
  /** How many connections there were. */
  readonly connections: () => number;
  /** How many are open. */
  readonly open: () => number;
  /** Resolves when this many messages have arrived in total. */
  heard(count: number): Promise<void>;
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly tls?: tls.TlsOptions;
  /** Optional: the port of a receiver that has closed. */
  readonly port?: number;
  /** Called for each new connection. `number` counts from 1. */
  readonly onConnection?: (socket: net.Socket, number: number) => void;
  /** Called for each message. May destroy the socket: then no later message counts. */
  readonly onMessage?: (socket: net.Socket, count: number) => void;
}

/** Listens on TCP or TLS; `read` cuts what arrives on one connection into messages. */
async function listen(
  { tls: secure, port = 0, onConnection, onMessage }: ListenOptions,
  reader: (socket: net.Socket, hear: (message: Buffer) => void) => (bytes: Buffer) => void,
): Promise<SyslogReceiver> {
  const messages: Buffer[] = [];
  const waiting = new Set<() => void>();
  const sockets = new Set<net.Socket>();
  let connections = 0;

  function meet(socket: net.Socket): void {
    connections++;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
    const read = reader(socket, (message) => {
      messages.push(message);
      for (const check of waiting) check();
      onMessage?.(socket, messages.length);
    });
    socket.on("data", read);
    onConnection?.(socket, connections);
  }

  const server = secure === undefined ? net.createServer(meet) : tls.createServer(secure, meet);
  server.on("tlsClientError", () => undefined);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  onTestFinished(close);
  return {
    port: (server.address() as net.AddressInfo).port,
    messages,
    connections: () => connections,
    open: () => sockets.size,
    heard: (count) => heard(messages, waiting, count),
    close,
  };
}

function heard(messages: readonly Buffer[], waiting: Set<() => void>, count: number): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (messages.length < count) return;
      waiting.delete(check);
      resolve();
    };
    waiting.add(check);
    check();
  });
}

/** TCP or TLS with octet counting (RFC 6587, 3.4.1). An invalid count, or a partial message at the end, fails the test. */
export function octetReceiver(options: ListenOptions = {}): Promise<SyslogReceiver> {
  return listen(options, (socket, hear) => {
    let rest = Buffer.alloc(0);
    return (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      while (!socket.destroyed) {
        const space = rest.subarray(0, 8).indexOf(" ");
        if (space < 0) return;
        const count = rest.subarray(0, space).toString();
        if (!/^[1-9]\d*$/.test(count)) throw new Error(`no count: ${JSON.stringify(count)}`);
        const end = space + 1 + Number(count);
        if (rest.length < end) return;
        hear(rest.subarray(space + 1, end));
        rest = rest.subarray(end);
      }
    };
  });
}

/** TCP or TLS with a newline after each message (RFC 6587, 3.4.2). */
export function newlineReceiver(options: ListenOptions = {}): Promise<SyslogReceiver> {
  return listen(options, (socket, hear) => {
    let rest = Buffer.alloc(0);
    return (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (let end = rest.indexOf("\n"); end >= 0 && !socket.destroyed; end = rest.indexOf("\n")) {
        hear(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
      }
    };
  });
}

export interface RelpCommand {
  readonly txnr: number;
  readonly command: string;
  readonly data: Buffer;
}

export interface RelpReceiverOptions extends ListenOptions {
  /** Replaces the usual answer `200 OK`. undefined: no answer. A Buffer is sent unchanged. */
  readonly answer?: (command: RelpCommand, socket: net.Socket) => Buffer | string | undefined;
  /** Answers are sent in pieces of this size. */
  readonly pieceBytes?: number;
}

/** The answer of librelp to a successful command. */
export function usualAnswer({ txnr, command }: RelpCommand): string {
  if (command === "open") {
    const offer = "200 OK\nrelp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog\n";
    return `${txnr} rsp ${offer.length} ${offer}\n`;
  }
  return command === "close" ? `${txnr} rsp 0\n0 serverclose 0\n` : `${txnr} rsp 6 200 OK\n`;
}

/** A receiver that speaks RELP like librelp. */
export function relpReceiver(options: RelpReceiverOptions = {}): Promise<SyslogReceiver> {
  const { answer = usualAnswer, pieceBytes = Infinity } = options;
  return listen(options, (socket, hear) => {
    let rest = Buffer.alloc(0);
    return (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (;;) {
        const head = /^(\d{1,9}) ([a-z]+) (\d+)([ \n])/.exec(rest.subarray(0, 64).toString("latin1"));
        if (head === null) break;
        const [all, txnr, command = "", length] = head;
        const start = all.length;
        const end = start + (length === "0" ? 0 : Number(length) + 1);
        if (rest.length < end) break;
        const data = Buffer.from(rest.subarray(start, start + Number(length)));
        rest = rest.subarray(end);
        if (command === "syslog") hear(data);
        if (socket.destroyed) return;
        const said = Buffer.from(answer({ txnr: Number(txnr), command, data }, socket) ?? "");
        for (let at = 0; at < said.length; at += pieceBytes) {
          socket.write(said.subarray(at, Math.min(said.length, at + pieceBytes)));
        }
        if (command === "close") socket.end();
      }
    };
  });
}

/** A receiver of datagrams. */
export async function udpReceiver(): Promise<SyslogReceiver> {
  const socket = createSocket("udp4");
  const messages: Buffer[] = [];
  const waiting = new Set<() => void>();
  socket.on("message", (message) => {
    messages.push(message);
    for (const check of waiting) check();
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  let isOpen = true;
  const close = async () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
  onTestFinished(close);
  const { port } = socket.address();
  return {
    port,
    messages,
    connections: () => 0,
    open: () => 0,
    heard: (count) => heard(messages, waiting, count),
    close,
  };
}

/** A TCP server that calls a function for each connection, and closes none itself. */
export async function serverThat(meets: (socket: net.Socket, number: number) => void): Promise<{ port: number }> {
  let connections = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    sockets.add(socket);
    meets(socket, ++connections);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as net.AddressInfo).port };
}

/** A port where nothing listens. */
export async function closedPort(): Promise<number> {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A message of RFC 5424 in its parts. */
export interface Parsed {
  readonly facility: number;
  readonly severity: number;
  readonly timestamp: string;
  readonly hostname: string;
  readonly appName: string;
  readonly procId: string;
  readonly messageId: string;
  readonly id: string;
  readonly params: Readonly<Record<string, string>>;
  readonly text: Buffer;
}

/** Parses a message by the grammar of RFC 5424, section 6, octet by octet. @throws where it breaks the grammar */
export function parseSyslog(message: Buffer): Parsed {
  let at = 0;
  // One character for each octet: the header is ASCII, and positions count octets.
  const octets = message.toString("latin1");
  const take = (pattern: RegExp): string => {
    const sticky = new RegExp(pattern, "y");
    sticky.lastIndex = at;
    const match = sticky.exec(octets);
    if (match === null) throw new Error(`octet ${at} of ${JSON.stringify(message.toString())}: not ${String(pattern)}`);
    at += match[0].length;
    return match[0];
  };
  take(/</);
  const pri = Number(take(/0|[1-9]\d{0,2}/));
  if (pri > 191) throw new Error(`PRI ${pri}`);
  take(/>1 /);
  const timestamp = take(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/);
  const field = (max: number): string => {
    take(/ /);
    return take(new RegExp(`[\\x21-\\x7e]{1,${max}}`));
  };
  const [hostname, appName, procId, messageId] = [field(255), field(48), field(128), field(32)];
  take(/ \[/);
  const id = take(/[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}/);
  const params: Record<string, string> = {};
  while (message[at] === 0x20) {
    take(/ /);
    const name = take(/[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}/);
    const value = take(/="(?:[^"\\\]]|\\["\\\]])*"/).slice(2, -1);
    params[name] = Buffer.from(value.replaceAll(/\\(["\\\]])/g, "$1"), "latin1").toString();
  }
  take(/\] /);
  return {
    ...{ facility: pri >> 3, severity: pri & 7, timestamp, hostname, appName, procId, messageId, id, params },
    text: message.subarray(at),
  };
}
