import { RefusedError } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import type { Outbox } from "./outbox.ts";

/** How messages are separated on a stream: RFC 6587, sections 3.4.1 and 3.4.2. */
export type Framing = "octet-counting" | "newline";

/** Small writes cost more than their bytes. Larger writes than this gain nothing. */
const WRITE_BYTES = 64 * 1024;

const NEWLINE = Buffer.from("\n");

/** What a RELP receiver sends before it disconnects. librelp does so at once if the data is not RELP. */
const RELP_CLOSE = "0 serverclose";

/** Joins frames to larger writes. */
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
    /** Adds a frame to the next write. Returns true if that write is large enough to flush. */
    add(...frame: readonly Buffer[]): boolean {
      for (const piece of frame) {
        pieces.push(piece);
        bytes += piece.length;
      }
      return bytes >= WRITE_BYTES;
    },
  };
}

/** Sends all messages, each in its frame. A stream has no answers: only the end of the connection shows whether they arrived. */
export async function sendFramed(connection: Connection, messages: Outbox, framing: Framing): Promise<void> {
  const writes = joinedWrites(connection);
  for (;;) {
    const message = messages.take();
    if (message === undefined) {
      if (await messages.hasMore()) continue;
      break;
    }
    const isEnough =
      framing === "newline" ? writes.add(message, NEWLINE) : writes.add(Buffer.from(`${message.length} `), message);
    if (isEnough) await writes.flush();
  }
  await writes.flush();
}

/**
 * Checks what arrives. A syslog receiver sends nothing on a stream. If it closes as RELP does, it expects RELP, and accepted
 * none of the messages.
 * @throws RefusedError
 */
export function refuseAnswers(place: string): (bytes: Buffer) => void {
  return (bytes) => {
    refuseAlert(bytes, place);
    if (bytes.toString("latin1", 0, RELP_CLOSE.length) !== RELP_CLOSE) return;
    throw new RefusedError("bad_request", `write to ${place}: the receiver answers in RELP`, {
      hint: "the port expects RELP: set sink.transport to relp (relp+tls with TLS), or sink.port to a port without RELP",
    });
  };
}

/**
 * Checks what arrives. A TLS alert on a connection without TLS means that the receiver expects TLS, and read none of the
 * messages.
 * @throws RefusedError
 */
export function refuseAlert(bytes: Buffer, place: string): void {
  const isAlert = bytes[0] === 0x15 && bytes[1] === 0x03;
  if (!isAlert) return;
  throw new RefusedError("bad_request", `write to ${place}: the receiver answers in TLS`, {
    hint: "the port expects TLS: set sink.transport to tls (or relp+tls), or sink.port to a port without TLS",
  });
}
