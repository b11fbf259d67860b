import { promisify } from "node:util";
import { crc32, inflateRaw } from "node:zlib";

const inflated = promisify(inflateRaw);

/** The fixed part of a gzip header, and the checksum and size at the end of a member (RFC 1952, 2.3). */
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;

/** What the first member of a gzip file holds, and what follows it. */
export interface Unpacked {
  readonly content: Buffer;
  /** Bytes after the end of the member: a second member, or anything else. Some readers read them, others do not. */
  readonly trailingBytes: number;
}

/**
 * Unpacks one gzip member and returns where it ends. Node's gunzip does not: it reads further members as part of the first.
 * Undefined when it is truncated, damaged, or holds more than `maxBytes`.
 */
export async function unpack(stored: Buffer, maxBytes: number): Promise<Unpacked | undefined> {
  const start = headerEnd(stored);
  if (start === undefined) return undefined;
  try {
    const { buffer, engine } = (await inflated(stored.subarray(start), {
      info: true,
      maxOutputLength: Math.max(maxBytes, 1),
    })) as unknown as { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } };
    const end = start + engine.bytesWritten;
    if (end + TRAILER_BYTES > stored.length || buffer.length > maxBytes) return undefined;
    const isSound =
      stored.readUInt32LE(end) === crc32(buffer) && stored.readUInt32LE(end + 4) === buffer.length % 2 ** 32;
    return isSound ? { content: buffer, trailingBytes: stored.length - end - TRAILER_BYTES } : undefined;
  } catch (error) {
    // An error of the decompressor. Anything else is a bug.
    if (error instanceof Error && /^(?:Z_|ERR_BUFFER_TOO_LARGE$)/.test(String((error as NodeJS.ErrnoException).code))) {
      return undefined;
    }
    throw error;
  }
}

const HAS_HEADER_CRC = 2;
const HAS_EXTRA = 4;
const HAS_NAME = 8;
const HAS_COMMENT = 16;

/** Where the compressed data starts; undefined when there is no gzip header. */
function headerEnd(stored: Buffer): number | undefined {
  if (stored.length < HEADER_BYTES + TRAILER_BYTES) return undefined;
  if (stored[0] !== 0x1f || stored[1] !== 0x8b || stored[2] !== 8) return undefined;
  const flags = stored[3] ?? 0;
  let at = HEADER_BYTES;
  if ((flags & HAS_EXTRA) !== 0) at += 2 + stored.readUInt16LE(at);
  for (const flag of [HAS_NAME, HAS_COMMENT]) {
    if ((flags & flag) === 0) continue;
    const end = stored.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1;
  }
  if ((flags & HAS_HEADER_CRC) !== 0) at += 2;
  return at < stored.length ? at : undefined;
}
