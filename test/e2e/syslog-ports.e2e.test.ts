import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SyslogTransport } from "../../src/sinks/syslog/syslog.ts";
import { raw } from "../../src/formats/raw.ts";
import { peculiarEvents } from "../support/peculiar.ts";
import { rsyslogInstalled, startRsyslog, type Rsyslog } from "../support/rsyslog.ts";
import { syslogTo, tlsOf, writeAll } from "../support/syslog-sink.ts";
import { memorySource, START } from "../support/world.ts";

type Input = "tcp" | "tls" | "relp" | "relpTls";

/** Without any answer, only the timeout shows the mistake. */
const QUICK = { connectTimeoutMs: 2000, retry: { attempts: 1, baseMs: 1, capMs: 1 } };

const WRONGS: readonly (readonly [transport: SyslogTransport, input: Input, advises: RegExp])[] = [
  ["tcp", "tls", /TLS.*check sink\.port and sink\.transport/],
  ["tcp", "relp", /set sink\.transport to relp/],
  // The receiver answers with a TLS alert, but the connection may end before it arrives.
  ["tcp", "relpTls", /sink\.transport/],
  ["tls", "tcp", /the port may not use TLS/],
  ["tls", "relp", /the port may not use TLS/],
  ["tls", "relpTls", /set sink\.transport to relp/],
  ["relp", "tcp", /check that sink\.port is a RELP port/],
  ["relp", "tls", /TLS.*check sink\.port and sink\.transport/],
  ["relp", "relpTls", /sink\.transport/],
  ["relp+tls", "tcp", /the port may not use TLS/],
  ["relp+tls", "tls", /check that sink\.port is a RELP port/],
  ["relp+tls", "relp", /the port may not use TLS/],
];

describe.skipIf(!rsyslogInstalled())("rsyslog's port for another transport", () => {
  let rsyslog: Rsyslog<Input>;
  beforeAll(async () => {
    rsyslog = await startRsyslog(["tcp", "tls", "relp", "relpTls"]);
  });
  afterAll(() => rsyslog.stop());

  test.each(WRONGS)(
    "%s to the port of %s: no batch counts as written, and the error says what to set",
    async (transport, input, advises) => {
      const tls = transport.endsWith("tls") ? tlsOf(rsyslog) : undefined;
      const way = { transport, port: rsyslog.ports[input], tls };
      const sink = syslogTo(way, raw.of(memorySource([])), QUICK);
      const writing = (count: number) => writeAll(sink, peculiarEvents(count, START));
      for (const count of [1, 20]) {
        await expect(writing(count)).rejects.toMatchObject({ hint: expect.stringMatching(advises) as string });
      }
      // With more messages in flight, a reset may come before any answer.
      await expect(writing(2000)).rejects.toMatchObject({
        hint: expect.stringMatching(/sink\.(?:port|transport)/) as string,
      });
    },
  );
});
