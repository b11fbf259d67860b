import { ProtocolError, RefusedError, TransientError } from "../../errors.ts";
import { connect, type Receiver } from "./connection.ts";
import { BUSY } from "./errors.ts";
import type { Outbox } from "./outbox.ts";
import { joinedWrites, refuseAlert } from "./stream.ts";

/** What may be unanswered at once; librelp's own clients have the same. */
const WINDOW = 128;

/** Version 0 is what librelp speaks; without the commands it refuses the session. */
const OFFER = "relp_version=0\nrelp_software=siem-export-worker\ncommands=syslog\n";

/** The other side's text in a message. */
const TEXT_MAX_CHARS = 200;

interface Answer {
  readonly code: number;
  readonly text: string;
  /** All of it, the offers behind the first line included. */
  readonly data: string;
}

/** A RELP session: what is sent in it is answered, message by message. */
export interface RelpSession {
  /**
   * Sends all messages; resolves when each was answered with 200.
   * @throws TransientError when the receiver does not take a message, leaves, or is silent: what is not safe can be sent again
   * @throws ProtocolError when it does not speak RELP
   */
  send(messages: Outbox): Promise<void>;
  /** Says that we leave, and waits for the answer; the receiver then ends the connection. */
  close(): Promise<void>;
  destroy(): void;
}

/**
 * Opens a session, as the specification of RELP and librelp have it.
 * @param txnr of the first frame; they go round at 999,999,999
 * @throws RefusedError when the receiver refuses the session; else as `connect`
 */
export async function openRelp(receiver: Receiver, signal: AbortSignal, txnr = 1): Promise<RelpSession> {
  const { place, connectTimeoutMs, answerTimeoutMs } = receiver;
  const commands = await exchange(receiver, signal, txnr);
  try {
    commands.add("open", Buffer.from(OFFER), (answer) => checkOffer(answer, place));
    await commands.flush();
    const hint = "a port for plain syslog never answers: check that sink.port is one for RELP";
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
            if (answer.code !== 200) throw notTaken(answer, place);
            messages.safe(message);
          });
          if (isEnough) await commands.flush();
          continue;
        }
        await commands.flush();
        if (commands.unanswered() < WINDOW && (await messages.more())) continue;
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

/** Commands on a connection, each with what is to be done with its answer; an answer may end the connection by an error. */
async function exchange(receiver: Receiver, signal: AbortSignal, firstTxnr: number) {
  const { place } = receiver;
  const awaited = new Map<number, (answer: Answer) => void>();
  const readFrames = frameReader(place);
  let txnr = firstTxnr;
  let isClosing = false;
  let answered: (() => void) | undefined;

  function receive(bytes: Buffer): void {
    refuseAlert(bytes, place);
    for (const frame of readFrames(bytes)) {
      // The hint follows the answer to a close, and else announces that the receiver leaves.
      if (frame.command === "serverclose" && isClosing) continue;
      if (frame.command === "serverclose") {
        throw new TransientError("network", `write to ${place}: the receiver closes the session`);
      }
      const onAnswer = frame.command === "rsp" ? awaited.get(frame.txnr) : undefined;
      if (onAnswer === undefined) {
        const what = `${frame.command} ${frame.txnr} answers nothing that was sent`;
        throw new ProtocolError(`read an answer of ${place}: ${what}`);
      }
      awaited.delete(frame.txnr);
      onAnswer(answerOf(frame.data, place));
      // Also while bytes wait: a slow receiver reads on when it has worked off what it has.
      connection.renew();
    }
    answered?.();
  }

  const connection = await connect(receiver, receive, signal);
  const writes = joinedWrites(connection);
  return {
    flush: () => writes.flush(),
    destroy: () => connection.destroy(),
    unanswered: () => awaited.size,

    /** Adds a frame to the next write; true when it is time for that. */
    add(command: "open" | "syslog" | "close", data: Buffer, onAnswer: (answer: Answer) => void): boolean {
      isClosing = command === "close";
      const [before, after] = frameAround(txnr, command, data.length);
      awaited.set(txnr, onAnswer);
      txnr = nextTxnr(txnr);
      return writes.add(before, data, after);
    },

    async nextAnswer(limitMs: number, hint: string): Promise<void> {
      const what = `write to ${place}: no answer within ${limitMs} ms`;
      const silent = () => new TransientError("timeout", what, { hint });
      await connection.wait(limitMs, silent, (done) => (answered = done));
    },
  };
}

/** `200 OK`, the offers after the first line; the answer to a close may be empty, and has code 0 here. */
function answerOf(data: string, place: string): Answer {
  if (data === "") return { code: 0, text: "no code", data };
  const [, code, text = ""] = /^(\d{3})(?: ([^\n]*))?(?:\n|$)/.exec(data) ?? [];
  if (code === undefined) throw new ProtocolError(`read an answer of ${place}: no code in it: ${shown(data)}`);
  return { code: Number(code), text: shown(text), data };
}

function checkOffer({ code, text, data }: Answer, place: string): void {
  const commands = /^commands=(.*)$/m.exec(data)?.[1]?.split(",") ?? [];
  if (code === 200 && commands.includes("syslog")) return;
  const why = code === 200 ? "it does not take the command syslog" : `${code} ${text}`;
  throw new RefusedError("bad_request", `open a RELP session with ${place}: ${why}`, {
    hint: "check the receiver's RELP input and its log: it refuses what is offered to it",
  });
}

/** A receiver that cannot take a message now (a full disk, a full queue) may later; retries are bounded. */
function notTaken({ code, text }: Answer, place: string): TransientError {
  return new TransientError("unavailable", `write to ${place}: the receiver did not take a message: ${code} ${text}`, {
    hint: "the receiver's own log says why",
  });
}

function shown(text: string): string {
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
/** The longest answer: a receiver says a code and a few words, and once what it offers. */
const DATA_MAX_BYTES = 128 * 1024;

const HEAD = /(\d{1,9}) ([A-Za-z]{1,32}) (\d{1,9})([ \n])/y;
/** How a head may stand while the rest of it is on its way. */
const HEAD_BEGUN = /^(?:\d{0,9}|\d{1,9} [A-Za-z]{0,32}|\d{1,9} [A-Za-z]{1,32} \d{0,9})$/;
/** A piece of the other side's bytes, for a message. */
const SHOWN_CHARS = 40;

/** The number after `txnr`: 0 is for hints, so it goes round to 1. */
export function nextTxnr(txnr: number): number {
  return txnr === TXNR_MAX ? 1 : txnr + 1;
}

/** A frame to send, in two pieces with the data between them. */
export function frameAround(txnr: number, command: string, dataBytes: number): readonly [Buffer, Buffer] {
  return [Buffer.from(`${txnr} ${command} ${dataBytes}${dataBytes === 0 ? "" : " "}`), Buffer.from("\n")];
}

/**
 * Reads frames from pieces of any size.
 * @throws ProtocolError at what is no frame
 */
export function frameReader(place: string): (bytes: Buffer) => RelpFrame[] {
  // One character an octet, so that lengths can be counted in characters.
  let text = "";

  function refuse(at: number): never {
    const shown = JSON.stringify(text.slice(at, at + SHOWN_CHARS));
    throw new ProtocolError(`read an answer of ${place}: not RELP: ${shown}`, {
      hint: "check that sink.port is a port for RELP, and sink.transport says whether it is one with TLS",
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
        if (!HEAD_BEGUN.test(text.slice(at))) refuse(at);
        break;
      }
      const [all, txnr, command = "", length, end] = head;
      const dataBytes = Number(length);
      // Without data there is no space, with data there is.
      if (dataBytes > DATA_MAX_BYTES || (dataBytes === 0) !== (end === "\n")) refuse(at);
      const dataAt = at + all.length;
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
