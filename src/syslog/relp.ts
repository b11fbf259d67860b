import { ProtocolError, RefusedError, TransientError } from "../errors.ts";
import { connect, type Receiver } from "./connection.ts";
import type { Outbox } from "./outbox.ts";
import { frameAround, frameReader, nextTxnr } from "./relp-frame.ts";
import { joinedWrites, refuseAlerts } from "./stream.ts";

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
  /** Says that we leave, and waits for the answer. */
  close(): Promise<void>;
  destroy(): void;
}

/**
 * Opens a session, as the specification of RELP 1 and librelp have it.
 * @param txnr of the first frame; they go round at 999,999,999
 * @throws RefusedError when the receiver refuses the session; else as `connect`
 */
export async function openRelp(receiver: Receiver, signal: AbortSignal, txnr = 1): Promise<RelpSession> {
  const { place, answerTimeoutMs } = receiver;
  const awaited = new Map<number, (answer: Answer) => void>();
  const readFrames = frameReader(place);
  const refuseAlert = refuseAlerts(place);
  let answered: (() => void) | undefined;
  let isClosed = false;

  const connection = await connect(receiver, receive, signal);
  const writes = joinedWrites(connection);

  function receive(bytes: Buffer): void {
    refuseAlert(bytes);
    for (const frame of readFrames(bytes)) {
      if (frame.command === "serverclose") {
        if (isClosed) continue;
        throw new TransientError("network", `write to ${place}: the receiver closes the session`);
      }
      const onAnswer = frame.command === "rsp" ? awaited.get(frame.txnr) : undefined;
      if (onAnswer === undefined) {
        throw new ProtocolError(
          `read an answer of ${place}: ${frame.command} ${frame.txnr} answers nothing that was sent`,
        );
      }
      awaited.delete(frame.txnr);
      onAnswer(answerOf(frame.data, place));
    }
    answered?.();
  }

  /** Adds a frame to the next write; true when it is time for that. */
  function post(command: string, data: Buffer, onAnswer: (answer: Answer) => void): boolean {
    const [before, after] = frameAround(txnr, command, data.length);
    awaited.set(txnr, onAnswer);
    txnr = nextTxnr(txnr);
    return writes.add(before, data, after);
  }

  async function nextAnswer(hint?: string): Promise<void> {
    const silent = () =>
      new TransientError("timeout", `write to ${place}: no answer within ${answerTimeoutMs} ms`, { hint });
    await connection.wait(answerTimeoutMs, silent, (done) => (answered = done));
  }

  try {
    post("open", Buffer.from(OFFER), (answer) => checkOffer(answer, place));
    await writes.flush();
    while (awaited.size > 0)
      await nextAnswer("a port for plain syslog never answers: check that sink.port is one for RELP");
  } catch (error) {
    connection.destroy();
    throw error;
  }
  return { send, close, destroy: () => connection.destroy() };

  async function send(messages: Outbox): Promise<void> {
    for (;;) {
      const message = awaited.size < WINDOW ? messages.take() : undefined;
      if (message !== undefined) {
        const isEnough = post("syslog", message, (answer) => {
          if (answer.code !== 200) throw notTaken(answer, place);
          messages.safe(message);
        });
        if (isEnough) await writes.flush();
        continue;
      }
      await writes.flush();
      if (awaited.size < WINDOW && (await messages.more())) continue;
      if (awaited.size === 0) return;
      await nextAnswer();
    }
  }

  async function close(): Promise<void> {
    post("close", Buffer.alloc(0), () => (isClosed = true));
    await writes.flush();
    while (!isClosed) await nextAnswer();
    await connection.end();
  }
}

/** `200 OK`, the offers after the first line; the answer to a close may be empty. */
function answerOf(data: string, place: string): Answer {
  const [, code = "200", text = ""] = /^(?:(\d{3})(?: ([^\n]*))?(?:\n|$)|$)/.exec(data) ?? [undefined, ""];
  if (code === "") throw new ProtocolError(`read an answer of ${place}: no code in it: ${shown(data)}`);
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
