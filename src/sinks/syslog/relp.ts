import { ProtocolError, RefusedError, TransientError } from "../../errors.ts";
import { connect, type Receiver } from "./connection.ts";
import { BUSY } from "./errors.ts";
import type { Outbox } from "./outbox.ts";
import { frameAround, frameReader, nextTxnr } from "./relp-frame.ts";
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
