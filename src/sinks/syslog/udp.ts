import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Receiver } from "./connection.ts";
import { failureOf } from "./errors.ts";
import type { Outbox } from "./outbox.ts";

/**
 * A receiver's buffer is 208 KiB where nobody raised it, and what does not fit is lost. Linux counts a datagram in it as
 * its octets and about 1 KiB more. A burst fills a sixth of that, so a receiver may be away for six pauses, 60 ms.
 */
const BURST_BYTES = 32 * 1024;
const DATAGRAM_OVERHEAD_BYTES = 1024;
const PAUSE_MS = 10;

/** A host without a listener says so by ICMP, one round trip later; for the last datagram too. */
const REFUSAL_WAIT_MS = 100;

/** Sends each message as a datagram (RFC 5426), no faster than a receiver's buffer holds. */
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
        if (await messages.more()) continue;
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
 * Where the host is: all that can be asked of UDP beforehand. Of several addresses one of IPv4: nobody answers to show that a
 * receiver listens on none of IPv6.
 * @throws TransientError when its name is not known
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

/** Connected, which for UDP means only that refusals by ICMP are told. */
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
