import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { installed } from "./process.ts";
import { startReceiver, type Places, type Receiver } from "./receiver.ts";

const INPUTS = ["udp", "tcp", "tls", "expiredTls", "relp", "relpTls", "expiredRelpTls"] as const;
type Input = (typeof INPUTS)[number];
export type Rsyslog = Receiver<Input>;

/** Debian's packages beside rsyslog itself, by what they bring. */
const MODULES = ["imrelp.so", "lmnsd_gtls.so"];

export const rsyslogInstalled = (): boolean =>
  installed("rsyslogd") && MODULES.every((module) => libraries().some((folder) => existsSync(join(folder, module))));

const libraries = (): string[] => readdirSync("/usr/lib").map((name) => join("/usr/lib", name, "rsyslog"));

/**
 * rsyslog with what it does by itself: messages of up to 8 KiB, control characters escaped. Its TLS inputs ask for the
 * client's certificate.
 *
 * @param queue of what it has taken but not written. By itself rsyslog acknowledges what lies in a queue in memory;
 * without a queue it has written what it acknowledges.
 */
export function startRsyslog(queue: "Direct" | "FixedArray" = "Direct"): Promise<Rsyslog> {
  return startReceiver({
    name: "rsyslog",
    inputs: INPUTS,
    configuration: (places) => configuration(places, queue),
    command: ({ conf }) => ["rsyslogd", "-n", "-iNONE", "-f", conf],
  });
}

function configuration({ folder, out, ports, certificates }: Places<Input>, queue: string): string {
  const { caFile, server, expired } = certificates;
  const at = (input: Input) => `address="127.0.0.1" port="${ports[input]}"`;
  const tls = (input: Input, { certFile, keyFile } = server) => `input(type="imtcp" ${at(input)}
  streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/name" permittedPeer=["exporter.test"]
  streamDriver.caFile="${caFile}" streamDriver.certFile="${certFile}" streamDriver.keyFile="${keyFile}")`;
  const relpTls = (input: Input, { certFile, keyFile } = server) => `input(type="imrelp" ${at(input)} tls="on"
  tls.authMode="name" tls.permittedPeer=["exporter.test"]
  tls.caCert="${caFile}" tls.myCert="${certFile}" tls.myPrivKey="${keyFile}")`;
  return `global(workDirectory="${folder}" net.enableDNS="off" parser.escapeControlCharacterTab="off")
main_queue(queue.type="${queue}")
module(load="imudp")
module(load="imtcp")
module(load="imrelp" tls.tlsLib="openssl")
input(type="imudp" ${at("udp")})
input(type="imtcp" ${at("tcp")})
${tls("tls")}
${tls("expiredTls", expired)}
input(type="imrelp" ${at("relp")})
${relpTls("relpTls")}
${relpTls("expiredRelpTls", expired)}
template(name="json" type="list") {
  constant(value="{")
  ${PROPERTIES.map(([name, property]) => `property(outname="${name}" name="${property}" format="jsonf")`).join(`
  constant(value=",")
  `)}
  constant(value="}\\n")
}
action(type="omfile" file="${out}" template="json" flushOnTXEnd="on")
`;
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
