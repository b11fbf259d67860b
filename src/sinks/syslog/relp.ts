import { ProtocolError, RefusedError, TransientError } from "../../errors.ts";
import { connect, type Receiver } from "./connection.ts";
import { BUSY } from "./errors.ts";
import type { Outbox } from "./outbox.ts";
import { joinedWrites, refuseAlert } from "./stream.ts";

/** How many commands may be unanswered at once, as in librelp's own clients. */
const WINDOW = 128;

/** librelp speaks version 0, and refuses a session without `commands`. */
const OFFER = "relp_version=0\nrelp_software=siem-export-worker\ncommands=syslog\n";

/** The most characters of the receiver's text in a message. */
const TEXT_MAX_CHARS = 200;

interface Answer {
  readonly code: number;
  readonly text: string;
  /** The whole answer, with the offers after its first line. */
  readonly data: string;
}

/** A RELP session. The receiver answers each message. */
export interface RelpSession {
  /**
   * Sends all messages. Resolves when each was answered with 200.
   * @throws TransientError if the receiver rejects a message, disconnects or does not answer: the messages that are not
   * acknowledged can be sent again
   * @throws ProtocolError if the receiver does not speak RELP
   */
  send(messages: Outbox): Promise<void>;
  /** Sends the close command and waits for its answer. The receiver then closes the connection. */
  close(): Promise<void>;
  destroy(): void;
}

/**
 * Opens a session, as RELP's specification and librelp do.
 * @param txnr the number of the first frame; after 999,999,999 comes 1
 * @throws RefusedError if the receiver refuses the session; otherwise the same errors as `connect`
 */
export async function openRelp(receiver: Receiver, signal: AbortSignal, txnr = 1): Promise<RelpSession> {
  const { place, connectTimeoutMs, answerTimeoutMs } = receiver;
  const commands = await exchange(receiver, signal, txnr);
  try {
    commands.add("open", Buffer.from(OFFER), (answer) => checkOffer(answer, place));
    await commands.flush();
    const hint = "a port for plain syslog never answers: check that sink.port is a RELP port";
    while (commands.unanswered() > 0) await commands.nextAnswer(connectTimeoutMs, hint);
  } catch (error) {
    commands.destroy();
    throw error;
  }
  return {
    async send(messages) {
      for (;;) {
        const message = commands.unanswered() < WINDOW ? messages.take() : undefined;
        if (message !== undefined) {
          const isEnough = commands.add("syslog", message, (answer) => {
            if (answer.code !== 200) throw notAccepted(answer, place);
            messages.acknowledge(message);
          });
          if (isEnough) await commands.flush();
          continue;
        }
        await commands.flush();
        if (commands.unanswered() < WINDOW && (await messages.hasMore())) continue;
        if (commands.unanswered() === 0) return;
        await commands.nextAnswer(answerTimeoutMs, BUSY);
      }
    },

    async close() {
      commands.add("close", Buffer.alloc(0), () => undefined);
      await commands.flush();
      while (commands.unanswered() > 0) await commands.nextAnswer(connectTimeoutMs, BUSY);
    },

    destroy: () => commands.destroy(),
  };
}

/** A connection for commands, each with a handler for its answer. If a handler throws, the connection fails with that error. */
async function exchange(receiver: Receiver, signal: AbortSignal, firstTxnr: number) {
  const { place } = receiver;
  const awaited = new Map<number, (answer: Answer) => void>();
  const readFrames = frameReader(place);
  let txnr = firstTxnr;
  let isClosing = false;
  let onAnswers: (() => void) | undefined;

  function receive(bytes: Buffer): void {
    refuseAlert(bytes, place);
    for (const frame of readFrames(bytes)) {
      // `serverclose` follows the answer to our close. At any other time, the receiver ends the session.
      if (frame.command === "serverclose" && isClosing) continue;
      if (frame.command === "serverclose") {
        throw new TransientError("network", `write to ${place}: the receiver closed the session`);
      }
      const onAnswer = frame.command === "rsp" ? awaited.get(frame.txnr) : undefined;
      if (onAnswer === undefined) {
        const what = `${frame.command} ${frame.txnr} matches nothing that was sent`;
        throw new ProtocolError(`read an answer from ${place}: ${what}`);
      }
      awaited.delete(frame.txnr);
      onAnswer(answerOf(frame.data, place));
      // Also while a write is pending: a slow receiver reads more only after it has processed what it has.
      connection.renew();
    }
    onAnswers?.();
  }

  const connection = await connect(receiver, receive, signal);
  const writes = joinedWrites(connection);
  return {
    flush: () => writes.flush(),
    destroy: () => connection.destroy(),
    unanswered: () => awaited.size,

    /** Adds a frame to the next write. Returns true if that write is large enough to flush. */
    add(command: "open" | "syslog" | "close", data: Buffer, onAnswer: (answer: Answer) => void): boolean {
      isClosing = command === "close";
      const [before, after] = frameAround(txnr, command, data.length);
      awaited.set(txnr, onAnswer);
      txnr = nextTxnr(txnr);
      return writes.add(before, data, after);
    },

    async nextAnswer(limitMs: number, hint: string): Promise<void> {
      const what = `write to ${place}: no answer within ${limitMs} ms`;
      const timeout = () => new TransientError("timeout", what, { hint });
      await connection.wait(limitMs, timeout, (done) => (onAnswers = done));
    },
  };
}

/** `200 OK`, with offers after the first line. The answer to a close may be empty, and then gets the code 0. */
function answerOf(data: string, place: string): Answer {
  if (data === "") return { code: 0, text: "no code", data };
  const [, code, text = ""] = /^(\d{3})(?: ([^\n]*))?(?:\n|$)/.exec(data) ?? [];
  if (code === undefined) throw new ProtocolError(`read an answer from ${place}: it has no code: ${oneLine(data)}`);
  return { code: Number(code), text: oneLine(text), data };
}

function checkOffer({ code, text, data }: Answer, place: string): void {
  const commands = /^commands=(.*)$/m.exec(data)?.[1]?.split(",") ?? [];
  if (code === 200 && commands.includes("syslog")) return;
  const why = code === 200 ? "the receiver does not support the command syslog" : `${code} ${text}`;
  throw new RefusedError("bad_request", `open a RELP session with ${place}: ${why}`, {
    hint: "the receiver refuses the session: check its RELP input and its log",
  });
}

/** A receiver that cannot accept a message now (full disk, full queue) may accept it later. Retries are bounded. */
function notAccepted({ code, text }: Answer, place: string): TransientError {
  const message = `write to ${place}: the receiver did not accept a message: ${code} ${text}`;
  return new TransientError("unavailable", message, { hint: "the receiver's log says why" });
}

function oneLine(text: string): string {
  return text
    .replaceAll(/[\p{C}\s]+/gu, " ")
    .trim()
    .slice(0, TEXT_MAX_CHARS);
}

/** `TXNR SP COMMAND SP DATALEN [SP DATA] LF` */
export interface RelpFrame {
  readonly txnr: number;
  readonly command: string;
  readonly data: string;
}

const TXNR_MAX = 999_999_999;
/** The longest answer: a receiver answers with a code and a few words, and once with its offers. */
const DATA_MAX_BYTES = 128 * 1024;

const HEAD = /(\d{1,9}) ([A-Za-z]{1,32}) (\d{1,9})([ \n])/y;
/** The beginning of a head whose rest has not arrived yet. */
const HEAD_BEGINNING = /^(?:\d{0,9}|\d{1,9} [A-Za-z]{0,32}|\d{1,9} [A-Za-z]{1,32} \d{0,9})$/;
/** How many of the receiver's characters are quoted in a message. */
const QUOTED_CHARS = 40;

/** The number after `txnr`. After the last one comes 1, because 0 is for hints. */
export function nextTxnr(txnr: number): number {
  return txnr === TXNR_MAX ? 1 : txnr + 1;
}

/** The two pieces of a frame that go before and after its data. */
export function frameAround(txnr: number, command: string, dataBytes: number): readonly [Buffer, Buffer] {
  return [Buffer.from(`${txnr} ${command} ${dataBytes}${dataBytes === 0 ? "" : " "}`), Buffer.from("\n")];
}

/**
 * Reads frames from pieces of any size.
 * @throws ProtocolError if the bytes are not frames
 */
export function frameReader(place: string): (bytes: Buffer) => RelpFrame[] {
  // One character for each octet, so that lengths can be counted in characters.
  let text = "";

  function refuse(at: number): never {
    const quoted = JSON.stringify(text.slice(at, at + QUOTED_CHARS));
    throw new ProtocolError(`read an answer from ${place}: not RELP: ${quoted}`, {
      hint: "check that sink.port is a RELP port, and that sink.transport says whether the port uses TLS",
    });
  }

  return (bytes) => {
    text += bytes.toString("latin1");
    const frames: RelpFrame[] = [];
    let at = 0;
    for (;;) {
      HEAD.lastIndex = at;
      const head = HEAD.exec(text);
      if (head === null) {
        if (!HEAD_BEGINNING.test(text.slice(at))) refuse(at);
        break;
      }
      const [headText, txnr, command = "", length, end] = head;
      const dataBytes = Number(length);
      // There is a space before data, and none if there is no data.
      if (dataBytes > DATA_MAX_BYTES || (dataBytes === 0) !== (end === "\n")) refuse(at);
      const dataAt = at + headText.length;
      const frameEnd = dataBytes === 0 ? dataAt : dataAt + dataBytes + 1;
      if (text.length < frameEnd) break;
      if (text[frameEnd - 1] !== "\n") refuse(at);
      const data = Buffer.from(text.slice(dataAt, dataAt + dataBytes), "latin1").toString();
      frames.push({ txnr: Number(txnr), command, data });
      at = frameEnd;
    }
    text = text.slice(at);
    return frames;
  };
}
