import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Certificates } from "./certificates.ts";
import { installed } from "./process.ts";
import { startReceiver, type Places, type Receiver } from "./receiver.ts";

type Input = "udp" | "tcp" | "tls" | "expiredTls" | "relp" | "relpTls" | "expiredRelpTls";
export type Rsyslog<Inputs extends Input = Input> = Receiver<Inputs>;

/** Debian's packages beside rsyslog, with the module of each. */
const MODULES = ["imrelp.so", "lmnsd_gtls.so"];

export const rsyslogInstalled = (): boolean =>
  installed("rsyslogd") && MODULES.every((module) => libraries().some((folder) => existsSync(join(folder, module))));

const libraries = (): string[] => readdirSync("/usr/lib").map((name) => join("/usr/lib", name, "rsyslog"));

/**
 * rsyslog with its defaults: messages of up to 8 KiB, control characters escaped, except the tab, which LEEF needs. The
 * buffer for datagrams is as large as the system allows. The TLS inputs require a client certificate.
 *
 * @param queue the queue between input and file. By default rsyslog acknowledges messages that are in a queue in memory.
 * Without a queue, it has written what it acknowledges.
 */
export function startRsyslog<Inputs extends Input>(
  inputs: readonly Inputs[],
  queue: "Direct" | "FixedArray" = "Direct",
): Promise<Rsyslog<Inputs>> {
  return startReceiver({
    name: "rsyslog",
    inputs,
    configuration: (places) => configuration(inputs, places, queue),
    command: ({ conf }) => ["rsyslogd", "-n", "-iNONE", "-f", conf],
  });
}

function configuration<Inputs extends Input>(
  inputs: readonly Inputs[],
  { folder, out, ports, certificates }: Places<Inputs>,
  queue: string,
): string {
  return `global(workDirectory="${folder}" net.enableDNS="off" parser.escapeControlCharacterTab="off")
main_queue(queue.type="${queue}")
module(load="imudp")
module(load="imtcp")
module(load="imrelp" tls.tlsLib="openssl")
${inputs.map((input) => `input(address="127.0.0.1" port="${ports[input]}" ${settingsOf(input, certificates)})`).join("\n")}
template(name="json" type="list") {
  constant(value="\\n{")
  ${PROPERTIES.map(([name, property]) => `property(outname="${name}" name="${property}" format="jsonf")`).join(`
  constant(value=",")
  `)}
  constant(value="}\\n")
}
action(type="omfile" file="${out}" template="json" flushOnTXEnd="on")
`;
}

function settingsOf(input: Input, { caFile, server, expired }: Certificates): string {
  switch (input) {
    case "udp":
      return 'type="imudp" rcvbufSize="1m"';
    case "tcp":
      return 'type="imtcp"';
    case "relp":
      return 'type="imrelp"';
    case "tls":
    case "expiredTls": {
      const { certFile, keyFile } = input === "tls" ? server : expired;
      return `type="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
  streamDriver.authMode="x509/name" permittedPeer=["exporter.test"]
  streamDriver.caFile="${caFile}" streamDriver.certFile="${certFile}" streamDriver.keyFile="${keyFile}"`;
    }
    case "relpTls":
    case "expiredRelpTls": {
      const { certFile, keyFile } = input === "relpTls" ? server : expired;
      return `type="imrelp" tls="on" tls.authMode="name" tls.permittedPeer=["exporter.test"]
  tls.caCert="${caFile}" tls.myCert="${certFile}" tls.myPrivKey="${keyFile}"`;
    }
  }
}

const PROPERTIES = [
  ["priority", "pri"],
  ["timestamp", 'timereported" dateFormat="rfc3339'],
  ["hostname", "hostname"],
  ["appName", "app-name"],
  ["processId", "procid"],
  ["messageId", "msgid"],
  ["structuredData", "structured-data"],
  ["message", "msg"],
  ["wire", "rawmsg"],
] as const;
