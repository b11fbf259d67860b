import type { ServerResponse } from "node:http";
import type { DeliveryFault } from "./faults.ts";
import type { Reply } from "./replies.ts";

/** Sends `reply`, or less of it, as `fault` has it. */
export function deliver(
  response: ServerResponse,
  reply: Reply,
  headers: Readonly<Record<string, string>>,
  fault: DeliveryFault | undefined,
): void {
  const half = reply.body.subarray(0, Math.floor(reply.body.length / 2));
  const head = (bytes: number): ServerResponse => {
    response.sendDate = false;
    return response.writeHead(reply.status, { ...headers, ...reply.headers, "content-length": bytes });
  };
  switch (fault) {
    case undefined:
      head(reply.body.length).end(reply.body);
      return;
    case "truncatedJson":
      head(half.length).end(half);
      return;
    case "cutBody":
      // Destroyed once the half is handed to the system, so that it arrives.
      head(reply.body.length).write(half, () => response.destroy());
      return;
    case "stalledBody":
      head(reply.body.length).flushHeaders();
      return;
    case "reset":
      response.destroy();
      return;
    case "silence":
      // The socket stays open until the client gives up or the simulator closes.
      return;
  }
}
