import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { startReceiver, type Places, type Receiver } from "./receiver.ts";

/** Debian does not allow syslog-ng beside rsyslog, so .ci/servers unpacks it into its own folder. */
const ROOT = process.env["SYSLOG_NG_ROOT"] ?? "/opt/syslog-ng";
const PROGRAM = join(ROOT, "usr/sbin/syslog-ng");
const MODULES = join(ROOT, "usr/lib/syslog-ng");

const INPUTS = ["udp", "tcp", "tcpLines", "tls", "expiredTls"] as const;
type Input = (typeof INPUTS)[number];
export type SyslogNg = Receiver<Input>;

export const syslogNgInstalled = (): boolean => existsSync(PROGRAM);

/** syslog-ng with its defaults: messages of up to 64 KiB. The TLS inputs require a client certificate. */
export function startSyslogNg(): Promise<SyslogNg> {
  const version = readdirSync(MODULES).find((name) => /^\d/.test(name)) ?? "";
  const libraries = [MODULES, ...["lib", "usr/lib"].flatMap((name) => librariesIn(join(ROOT, name)))];
  return startReceiver({
    name: "syslog-ng",
    inputs: INPUTS,
    configuration: (places) => configuration(places, version),
    command: ({ folder, conf }) => [
      ...([PROGRAM, "--foreground", "--no-caps", "--cfgfile", conf, "--module-path", join(MODULES, version)] as const),
      ...[
        "--persist-file",
        join(folder, "persist"),
        "--pidfile",
        join(folder, "pid"),
        "--control",
        join(folder, "ctl"),
      ],
    ],
    env: { LD_LIBRARY_PATH: libraries.join(":") },
  });
}

/** Such as `usr/lib/x86_64-linux-gnu`. */
function librariesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith("-linux-gnu"))
    .map((name) => join(folder, name));
}

function configuration({ out, ports, certificates }: Places<Input>, version: string): string {
  const { caFile, server, expired } = certificates;
  const at = (input: Input) => `ip("127.0.0.1") port(${ports[input]}) flags(store-raw-message)`;
  const tls = ({ certFile, keyFile } = server) =>
    `tls(cert-file("${certFile}") key-file("${keyFile}") ca-file("${caFile}") peer-verify(required-trusted))`;
  const pairs = MACROS.map(([name, macro]) => `${name}=\\"$${macro}\\"`).join(" ");
  return `@version: ${version}
options { use-dns(no); keep-hostname(yes); chain-hostnames(no); frac-digits(3); stats-freq(0); flush-lines(1); };
source messages {
  syslog(transport("udp") ${at("udp")});
  syslog(transport("tcp") ${at("tcp")});
  network(transport("tcp") ip("127.0.0.1") port(${ports.tcpLines}) flags(syslog-protocol, store-raw-message));
  syslog(transport("tls") ${at("tls")} ${tls()});
  syslog(transport("tls") ${at("expiredTls")} ${tls(expired)});
};
destination json { file("${out}" template("\\n$(format-json --scope none ${pairs})\\n")); };
log { source(messages); destination(json); };
`;
}

const MACROS = [
  ["priority", "PRI"],
  ["timestamp", "S_ISODATE"],
  ["hostname", "HOST"],
  ["appName", "PROGRAM"],
  ["processId", "PID"],
  ["messageId", "MSGID"],
  ["structuredData", "SDATA"],
  ["message", "MSG"],
  ["wire", "RAWMSG"],
] as const;
