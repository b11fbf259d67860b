import { ProtocolError } from "../../errors.ts";

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
