import { expect, test } from "vitest";
import { loadText, messageOf, oneStream } from "../support/config.ts";

const sinkOf = async (keys: string) =>
  (await loadText(oneStream({ sink: `sink: { type: syslog, ${keys} }` }))).streams[0]!.sink;
const mistakesIn = async (keys: string) =>
  (await messageOf(oneStream({ sink: `sink: { type: syslog, ${keys} }` }))).slice(1);

test("a syslog sink requires a transport and a host, and its port defaults to the transport's", async () => {
  expect(await sinkOf("transport: relp, host: siem.example")).toEqual({
    type: "syslog",
    transport: "relp",
    host: "siem.example",
    port: 2514,
    framing: "octet-counting",
    facility: 13,
    appName: "siem-export",
    enterpriseId: 32_473,
    maxMessageBytes: 8096,
    oversize: "truncate",
    tls: undefined,
  });
  expect(await sinkOf("transport: udp, host: h")).toMatchObject({ port: 514 });
  expect(await sinkOf("transport: tcp, host: h, framing: newline, facility: local7")).toMatchObject({
    port: 514,
    framing: "newline",
    facility: 23,
  });
});

test("the name in a receiver's certificate is checked unless this is turned off", async () => {
  expect(await sinkOf("transport: tls, host: h")).toMatchObject({ port: 6514, tls: { checkServerName: true } });
  expect(await sinkOf("transport: relp+tls, host: h, checkServerName: false, serverName: other")).toMatchObject({
    tls: { checkServerName: false, serverName: "other" },
  });
});

test.each([
  ["transport: relp, host: h, framing: newline", "framing: only for tcp and tls"],
  ["transport: tcp, host: h, serverName: n", "serverName: only for tls and relp+tls"],
  [
    "transport: udp, host: h, maxMessageBytes: 64KiB",
    "maxMessageBytes: larger than a datagram; for udp at most 65507B",
  ],
  ["transport: tls, host: h, certFile: package.json", "keyFile: required with certFile; set both or neither"],
  ["transport: tls, host: h, keyFile: package.json", "certFile: required with keyFile; set both or neither"],
  [
    "transport: relps, host: h",
    'transport: found "relps"; did you mean "relp"?  (accepted: tcp, tls, udp, relp, relp+tls)',
  ],
  [
    "transport: tcp, host: h, hostname: имя",
    'hostname: found "имя"  (accepted: 1 to 255 printable ASCII characters without spaces)',
  ],
])("{ %s } is refused: %s", async (keys, complaint) => {
  expect(await mistakesIn(keys)).toEqual([expect.stringContaining(`streams[0].sink.${complaint}`)]);
});

test.each(["h", "10.0.0.1", "::1", "fe80::1%eth0"])("a host may be %s", async (host) => {
  expect(await sinkOf(`transport: tcp, host: "${host}"`)).toMatchObject({ host });
});

test.each(["[::1]", "127.0.0.1:514", "siem.example:6514", "[::1]:514", "tcp://siem.example"])(
  "a host may not be %s",
  async (host) => {
    const accepted = "(accepted: a host name or an IP address, without brackets or a port)";
    expect(await mistakesIn(`transport: tcp, host: "${host}"`)).toEqual([
      expect.stringContaining(`streams[0].sink.host: found "${host}"  ${accepted}`),
    ]);
  },
);

test("two streams can send to the same receiver, but not share a ledger", async () => {
  const stream = (name: string, ledger = "") =>
    `  - { name: ${name}, source: { type: pachca, token: t }, windows: { start: 2026-11-01T00:00:00Z }, sink: { type: syslog, transport: relp, host: h }${ledger} }\n`;
  expect((await loadText(`streams:\n${stream("one")}${stream("two")}`)).streams).toHaveLength(2);
  const clash = stream("two", ", ledger: { type: file, directory: ./state/one }");
  expect(await messageOf(`streams:\n${stream("one")}${clash}`)).toEqual(
    expect.arrayContaining([expect.stringContaining("streams[1].ledger: writes to the same place as streams[0]")]),
  );
});

test("a Communications Mining source requires the tenant's URL and a token", async () => {
  const config = (source: string) => oneStream({ source: `source: { type: communications-mining, ${source} }` });
  const { streams } = await loadText(config("baseUrl: https://cloud.uipath.com/acme/live/reinfer_/, token: t"));
  expect(streams[0]!.source).toMatchObject({
    type: "communications-mining",
    baseUrl: "https://cloud.uipath.com/acme/live/reinfer_",
    requestsPerSecond: 10,
    pageLimit: 128,
  });
  expect(await messageOf(config("account: a"))).toEqual([
    "exporter.yaml: 2 mistakes",
    expect.stringContaining("source.baseUrl: missing  (accepted: an http or https URL"),
    expect.stringContaining("source.token: missing  (accepted: token or tokenFile)"),
  ]);
});

test("severities are numbers from 0 to 10", async () => {
  const { streams } = await loadText(oneStream({ batch: "severities: { user_2fa_fail: 8 }" }));
  expect(streams[0]!.severities).toEqual({ user_2fa_fail: 8 });
  expect(await messageOf(oneStream({ batch: "severities: { user_2fa_fail: high }" }))).toEqual([
    "exporter.yaml: 1 mistake",
    expect.stringContaining('severities.user_2fa_fail: found "high"  (accepted: a whole number from 0 to 10)'),
  ]);
});
