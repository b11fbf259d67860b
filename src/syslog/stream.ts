import { RefusedError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import type { Outbox } from "./outbox.ts";

/** How a receiver tells one message from the next on a stream: RFC 6587, 3.4.1 and 3.4.2. */
export type Framing = "octet-counting" | "newline";

/** Small writes cost more than their bytes; larger ones than this gain nothing. */
const WRITE_BYTES = 64 * 1024;

const NEWLINE = Buffer.from("\n");

/** Joins frames into larger writes. */
export function joinedWrites(connection: Connection) {
  let pieces: Buffer[] = [];
  let bytes = 0;
  async function flush(): Promise<void> {
    if (bytes === 0) return;
    const joined = Buffer.concat(pieces, bytes);
    pieces = [];
    bytes = 0;
    await connection.write(joined);
  }
  return {
    flush,
    /** Keeps a frame for the next write; true when it is time for that. */
    add(...frame: readonly Buffer[]): boolean {
      for (const piece of frame) {
        pieces.push(piece);
        bytes += piece.length;
      }
      return bytes >= WRITE_BYTES;
    },
  };
}

/** Sends all messages, and ends the connection in order. That is all a stream can tell: nobody answers on it. */
export async function sendFramed(connection: Connection, messages: Outbox, framing: Framing): Promise<void> {
  const writes = joinedWrites(connection);
  for (;;) {
    const message = messages.take();
    if (message === undefined) {
      if (await messages.more()) continue;
      break;
    }
    const isEnough =
      framing === "newline" ? writes.add(message, NEWLINE) : writes.add(Buffer.from(`${message.length} `), message);
    if (isEnough) await writes.flush();
  }
  await writes.flush();
  await connection.end();
}

/**
 * What a receiver of syslog says on a stream: nothing. A TLS alert means that it wanted TLS, and read none of what came.
 * @throws RefusedError
 */
export function refuseAlerts(place: string): (bytes: Buffer) => void {
  return (bytes) => {
    const isAlert = bytes[0] === 0x15 && bytes[1] === 0x03;
    if (!isAlert) return;
    throw new RefusedError("bad_request", `write to ${place}: the receiver answers in TLS`, {
      hint: "the port is one for TLS: set sink.transport to tls (or relp+tls), or sink.port to one without TLS",
    });
  };
}
