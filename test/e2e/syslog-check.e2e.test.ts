import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { raw } from "../../src/formats/raw.ts";
import type { SyslogOptions } from "../../src/sinks/syslog/syslog.ts";
import type { Finding } from "../../src/source.ts";
import type { Certificates } from "../support/certificates.ts";
import type { Receiver } from "../support/receiver.ts";
import { rsyslogInstalled, startRsyslog } from "../support/rsyslog.ts";
import { startSyslogNg, syslogNgInstalled } from "../support/syslog-ng.ts";
import { collect } from "../stores/store.contract.ts";
import { syslogTo, tlsOf } from "../support/syslog-sink.ts";
import { memorySource, never } from "../support/world.ts";

type Tls = NonNullable<SyslogOptions["tls"]>;

/** What can be wrong, the change that causes it, and what the preflight must report and advise. */
const WRONGS: readonly (readonly [
  wrong: string,
  change: (right: Tls, certificates: Certificates) => Tls,
  says: RegExp,
  advises: RegExp,
])[] = [
  [
    "a receiver with a certificate of another authority",
    (right, { otherCaFile }) => ({ ...right, caFile: otherCaFile }),
    /its certificate is from an (?:unknown authority|authority that is not trusted)/,
    /set sink\.caFile to the PEM file of its authority/,
  ],
  [
    "a receiver with another name",
    (right) => ({ ...right, serverName: "logs.example.com" }),
    /its certificate is not for logs\.example\.com, but for DNS:localhost, IP Address:127\.0\.0\.1/,
    /set sink\.serverName to a name of its certificate \(DNS:localhost/,
  ],
  [
    "no client certificate",
    ({ caFile, checkServerName }) => ({ caFile, checkServerName }),
    // rsyslog with GnuTLS closes the connection without a reason.
    /after the TLS handshake .*: the receiver (?:closed the connection|requires a client certificate, and none is set)/,
    /may require a client certificate: set sink\.certFile/,
  ],
  [
    "a client certificate of another authority",
    (right, { otherClient }) => ({ ...right, ...otherClient }),
    /after the TLS handshake .*: the receiver (?:closed the connection|refuses our certificate \(alert: unknown ca\))/,
    /may not accept our certificate: sink\.certFile must be from an authority that it trusts/,
  ],
];

const RECEIVERS = [
  [
    "rsyslog over tls",
    rsyslogInstalled(),
    { transport: "tls", input: "tls", expired: "expiredTls", start: () => startRsyslog(["tls", "expiredTls"]) },
  ],
  [
    "rsyslog over relp+tls",
    rsyslogInstalled(),
    {
      ...({ transport: "relp+tls", input: "relpTls", expired: "expiredRelpTls" } as const),
      start: () => startRsyslog(["relpTls", "expiredRelpTls"]),
    },
  ],
  [
    "syslog-ng over tls",
    syslogNgInstalled(),
    { transport: "tls", input: "tls", expired: "expiredTls", start: startSyslogNg },
  ],
] as const;

describe.each(RECEIVERS)("the preflight of %s", (_name, isInstalled, { transport, input, expired, start }) => {
  describe.skipIf(!isInstalled)("with certificates that are", () => {
    let receiver: Receiver<string>;
    beforeAll(async () => {
      receiver = await start();
    });
    afterAll(() => receiver.stop());

    const findings = (place: string, tls: Tls = tlsOf(receiver)): Promise<Finding[]> => {
      const way = { transport, port: receiver.ports[place]!, tls };
      return collect(syslogTo(way, raw.of(memorySource([]))).check(never));
    };

    test("right finds nothing, and sends no message", async () => {
      const [found, ...rest] = await findings(input);
      expect(found?.state).toBe("ok");
      expect(rest.map(({ state }) => state)).toEqual(transport === "tls" ? ["warning"] : []);
      expect(receiver.written()).toEqual([]);
    });

    test.each(WRONGS)("wrong reports: %s", async (_wrong, change, says, advises) => {
      const found = await findings(input, change(tlsOf(receiver), receiver.certificates));
      expect(found).toMatchObject([
        {
          state: "failed",
          what: expect.stringMatching(says) as string,
          hint: expect.stringMatching(advises) as string,
        },
      ]);
    });

    test("wrong reports: a receiver with an expired certificate", async () => {
      expect(await findings(expired)).toMatchObject([
        { state: "failed", what: expect.stringContaining("its certificate has expired") as string },
      ]);
    });
  });
});
