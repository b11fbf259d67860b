import { RefusedError } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import type { Outbox } from "./outbox.ts";

/** How a receiver tells one message from the next on a stream: RFC 6587, 3.4.1 and 3.4.2. */
export type Framing = "octet-counting" | "newline";

/** Small writes cost more than their bytes; larger ones than this gain nothing. */
const WRITE_BYTES = 64 * 1024;

const NEWLINE = Buffer.from("\n");

/** What a receiver of RELP says when it leaves; librelp's does so at once when what comes is not RELP. */
const RELP_FAREWELL = "0 serverclose";

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

/** Sends all messages, each with its frame. Nobody answers on a stream: what has arrived shows in how the connection ends. */
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
}

/**
 * What a receiver of syslog says on a stream: nothing. A farewell of RELP means that it wanted RELP, and took none of what came.
 * @throws RefusedError
 */
export function refuseAnswers(place: string): (bytes: Buffer) => void {
  return (bytes) => {
    refuseAlert(bytes, place);
    if (bytes.toString("latin1", 0, RELP_FAREWELL.length) !== RELP_FAREWELL) return;
    throw new RefusedError("bad_request", `write to ${place}: the receiver answers in RELP`, {
      hint: "the port is one for RELP: set sink.transport to relp (relp+tls with TLS), or sink.port to one without RELP",
    });
  };
}

/**
 * A TLS alert, where we speak without TLS, means that the receiver wanted TLS, and read none of what came.
 * @throws RefusedError
 */
export function refuseAlert(bytes: Buffer, place: string): void {
  const isAlert = bytes[0] === 0x15 && bytes[1] === 0x03;
  if (!isAlert) return;
  throw new RefusedError("bad_request", `write to ${place}: the receiver answers in TLS`, {
    hint: "the port is one for TLS: set sink.transport to tls (or relp+tls), or sink.port to one without TLS",
  });
}
