import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Receiver } from "./connection.ts";
import { failureOf } from "./errors.ts";
import type { Outbox } from "./outbox.ts";

/**
 * By default a receiver's buffer holds 208 KiB, and what does not fit is lost. Linux counts each datagram as its octets plus
 * about 1 KiB. A burst fills a sixth of the buffer, so a receiver may be busy for six pauses, which is 60 ms.
 */
const BURST_BYTES = 32 * 1024;
const DATAGRAM_OVERHEAD_BYTES = 1024;
const PAUSE_MS = 10;

/** A host without a listener reports that by ICMP, one round trip later. This is the wait after the last datagram. */
const REFUSAL_WAIT_MS = 100;

/** Sends each message as a datagram (RFC 5426), not faster than a receiver's default buffer allows. */
export async function sendDatagrams(receiver: Receiver, messages: Outbox, signal: AbortSignal): Promise<void> {
  const socket = await connectedSocket(receiver, signal);
  let refusal: Error | undefined;
  socket.on("error", (error) => (refusal ??= error));
  const check = () => {
    signal.throwIfAborted();
    if (refusal !== undefined) throw failure(receiver, "datagram", refusal);
  };
  const pause = async (ms: number) => {
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    check();
  };
  try {
    for (let burst = 0; ;) {
      const message = messages.take();
      if (message === undefined) {
        if (await messages.hasMore()) continue;
        break;
      }
      await new Promise<void>((resolve) =>
        socket.send(message, (error) => {
          refusal ??= error ?? undefined;
          resolve();
        }),
      );
      check();
      burst += message.length + DATAGRAM_OVERHEAD_BYTES;
      if (burst < BURST_BYTES) continue;
      burst = 0;
      await pause(PAUSE_MS);
    }
    await pause(REFUSAL_WAIT_MS);
  } finally {
    socket.close();
  }
}

/**
 * The host's address: all that can be checked before sending over UDP. If there are several, an IPv4 address is used, because
 * nothing would show that the receiver does not listen on IPv6.
 * @throws TransientError if the name is not known
 */
export async function lookUp(receiver: Receiver, signal: AbortSignal): Promise<{ address: string; family: number }> {
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([lookup(receiver.host, { order: "ipv4first" }), aborted]);
  } catch (error) {
    signal.throwIfAborted();
    throw failure(receiver, "connect", error);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** A connected socket. For UDP that only means that refusals by ICMP are reported. */
async function connectedSocket(receiver: Receiver, signal: AbortSignal): Promise<Socket> {
  const { address, family } = await lookUp(receiver, signal);
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(receiver.port, address, (error?: Error) => {
        socket.off("error", reject);
        if (error === undefined) resolve();
        else reject(error);
      });
    });
    return socket;
  } catch (error) {
    socket.close();
    throw failure(receiver, "connect", error);
  }
}

const failure = ({ place, host }: Receiver, phase: "connect" | "datagram", error: unknown) =>
  failureOf(error, { place, phase, hasCertificate: false, serverName: host });
