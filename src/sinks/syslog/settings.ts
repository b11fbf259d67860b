import { z } from "zod";
import { byteSize, choice, group, readableFile, text, whole, yesOrNo } from "../../config/values/values.ts";
import { rules, type Rule } from "../../config/values/rules.ts";

/* A receiver of syslog messages. */

/** RFC 5424's names and numbers, by its numbers. */
const FACILITIES = [
  ...["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"],
  ...["ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"],
] as const;

/** What has colons is an address of IPv6, which has two of them at least, and perhaps a zone. */
const HOST = /^(?:[^\s/:[\]]+|[\da-fA-F.]*:[\da-fA-F.]*:[\da-fA-F:.]*(?:%[^\s/:[\]]+)?)$/;

const PORTS = { tcp: 514, tls: 6514, udp: 514, relp: 2514, "relp+tls": 2514 } as const;

/** The most that a datagram can hold, less the headers of IP and UDP. */
const DATAGRAM_MAX_BYTES = 65_507;

export const syslog = group({
  type: z
    .literal("syslog")
    .describe("A syslog receiver, such as rsyslog, syslog-ng, SC4S, QRadar or ArcSight: messages after RFC 5424."),
  transport: choice(["tcp", "tls", "udp", "relp", "relp+tls"]).describe(
    "How messages travel. Only relp acknowledges them, so only with relp a receiver's failure loses nothing; udp loses them silently.",
  ),
  host: text("a host name or an IP address, without brackets and without a port", HOST).describe("The receiver."),
  port: whole(1, 65_535)
    .optional()
    .describe("The receiver's port. Without it: 514 for tcp and udp, 6514 for tls, 2514 for relp."),
  framing: choice(["octet-counting", "newline"])
    .optional()
    .describe(
      "How messages are told apart in tcp and tls (RFC 6587). Without it: octet-counting. newline is for receivers that know no other, such as Splunk's own TCP input.",
    ),
  facility: choice(FACILITIES).default("audit").describe("The facility of every message."),
  hostname: text("1 to 255 printable ASCII characters without spaces", /^[\x21-\x7e]{1,255}$/)
    .optional()
    .describe(
      "The host that messages name as their own. Without it: the stream's name, which stays when a container does not.",
    ),
  appName: text("1 to 48 printable ASCII characters without spaces", /^[\x21-\x7e]{1,48}$/)
    .default("siem-export")
    .describe("The program that messages name as their own."),
  enterpriseId: whole(1, 4_294_967_295)
    .default(32_473)
    .describe("The private enterprise number in the name of the structured data. 32473 is the one for examples."),
  maxMessageBytes: byteSize("1KiB", "1MiB")
    .prefault("8096B")
    .describe(
      "The most bytes of one message. Receivers cut longer ones: rsyslog beyond 8,096 bytes, unless its maxMessageSize is raised; above 195KiB over tcp and tls raise its imtcp's MaxFrameSize too, or it loses the messages behind as well.",
    ),
  oversize: choice(["truncate", "quarantine"])
    .default("truncate")
    .describe(
      "What becomes of an event that is larger: truncate shortens its longest parts and marks it; quarantine puts it aside, whole.",
    ),
  caFile: readableFile()
    .optional()
    .describe("A PEM file of certificate authorities to trust instead of the public ones, for tls."),
  certFile: readableFile().optional().describe("A PEM file with our certificate, where the receiver wants one."),
  keyFile: readableFile().optional().describe("A PEM file with the private key of certFile."),
  serverName: text("a name as it stands in a certificate", /^\S{1,253}$/)
    .optional()
    .describe("The name that the receiver's certificate must have. Without it: host."),
  checkServerName: yesOrNo()
    .optional()
    .describe("Whether the receiver's name is checked against its certificate. Without it: true."),
})
  .check(rules(syslogRules))
  .transform(({ port, facility, framing, caFile, certFile, keyFile, serverName, checkServerName, ...rest }) => ({
    ...rest,
    port: port ?? PORTS[rest.transport],
    framing: framing ?? ("octet-counting" as const),
    facility: FACILITIES.indexOf(facility),
    tls: rest.transport.endsWith("tls")
      ? { caFile, certFile, keyFile, serverName, checkServerName: checkServerName ?? true }
      : undefined,
  }));

const TLS_KEYS = ["caFile", "certFile", "keyFile", "serverName", "checkServerName"] as const;

function syslogRules(keys: Readonly<Record<string, unknown>>): readonly Rule[] {
  const { transport, framing, maxMessageBytes, certFile, keyFile } = keys;
  const isPlain = transport === "tcp" || transport === "udp" || transport === "relp";
  const isFramed = transport === "tcp" || transport === "tls";
  const isTooLong = typeof maxMessageBytes === "number" && maxMessageBytes > DATAGRAM_MAX_BYTES;
  return [
    ["framing", "only for tcp and tls", framing !== undefined && typeof transport === "string" && !isFramed],
    ["maxMessageBytes", "more than one datagram holds; for udp at most 65507B", transport === "udp" && isTooLong],
    ["certFile", "missing beside keyFile; set both or none", keyFile !== undefined && certFile === undefined],
    ["keyFile", "missing beside certFile; set both or none", certFile !== undefined && keyFile === undefined],
    ...TLS_KEYS.map((key): Rule => [key, "only for tls and relp+tls", isPlain && keys[key] !== undefined]),
  ];
}
