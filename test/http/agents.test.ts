import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { createAgents, proxyFor, type Agents } from "../../src/http/agents.ts";
import { makeAuthority, type Authority } from "../support/authority.ts";
import { startProxy, type ProxyOptions } from "../support/proxy.ts";

const place = mkdtempSync(join(tmpdir(), "siem-export-agents-"));
let authority: Authority;
let plain: http.Server;
let secure: https.Server;
let plainPort = 0;
let securePort = 0;
let connections = 0;

beforeAll(async () => {
  authority = makeAuthority(place);
  const answer: http.RequestListener = (request, response) => response.end(`hello ${request.headers.host ?? ""}`);
  plain = http.createServer(answer).listen(0, "127.0.0.1");
  secure = https.createServer(authority, answer).listen(0, "127.0.0.1");
  for (const server of [plain, secure]) server.on("connection", () => connections++);
  await Promise.all([once(plain, "listening"), once(secure, "listening")]);
  plainPort = (plain.address() as AddressInfo).port;
  securePort = (secure.address() as AddressInfo).port;
});

afterAll(() => {
  for (const server of [plain, secure]) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(place, { recursive: true, force: true });
});

/** GETs with the agent for the scheme of the URL; returns the body as text. */
async function get(url: string, agents: Agents): Promise<string> {
  const agent = url.startsWith("https:") ? agents.https : agents.http;
  const request = (url.startsWith("https:") ? https : http).get(url, { agent });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return body;
}

async function proxy(options?: ProxyOptions) {
  const started = await startProxy(options);
  onTestFinished(() => started.close());
  return started;
}

describe("agents", () => {
  test("connect directly when the environment names no proxy, and keep the connection", async () => {
    const agents = createAgents({ env: { HTTP_PROXY: "", https_proxy: " " } });
    const before = connections;
    expect(await get(`http://127.0.0.1:${plainPort}/`, agents)).toBe(`hello 127.0.0.1:${plainPort}`);
    await get(`http://127.0.0.1:${plainPort}/`, agents);
    expect(connections - before).toBe(1);
  });

  test("trust the CA file in addition to the system's authorities, and no one else", async () => {
    const url = `https://localhost:${securePort}/`;
    await expect(get(url, createAgents({ env: {} }))).rejects.toMatchObject({
      code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    });
    const agents = createAgents({ caFile: authority.caFile, env: {} });
    expect(await get(url, agents)).toBe(`hello localhost:${securePort}`);
  });

  test("open a tunnel for HTTPS and send the whole URL for HTTP, and keep both connections", async () => {
    const { url, tunnels, forwarded, connections } = await proxy();
    const agents = createAgents({ caFile: authority.caFile, env: { HTTP_PROXY: url, HTTPS_PROXY: url } });
    for (let round = 0; round < 2; round++) {
      expect(await get(`https://localhost:${securePort}/`, agents)).toBe(`hello localhost:${securePort}`);
      expect(await get(`http://api.example.com:${plainPort}/a?b=c`, agents)).toBe(`hello api.example.com:${plainPort}`);
    }
    expect(tunnels).toEqual([`localhost:${securePort}`]);
    expect(forwarded).toEqual(Array(2).fill(`http://api.example.com:${plainPort}/a?b=c`));
    expect(connections()).toBe(2);
  });

  test("check the certificate of the target behind the proxy", async () => {
    const { url } = await proxy();
    const agents = createAgents({ caFile: authority.caFile, env: { https_proxy: url } });
    await expect(get(`https://other.example.com:${securePort}/`, agents)).rejects.toMatchObject({
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
  });

  test("use a proxy that speaks TLS, and check its certificate with the CA file", async () => {
    const { url, tunnels, forwarded } = await proxy({ tls: authority });
    const env = { HTTP_PROXY: url, HTTPS_PROXY: url };
    const agents = createAgents({ caFile: authority.caFile, env });
    await get(`https://localhost:${securePort}/`, agents);
    await get(`http://api.example.com:${plainPort}/`, agents);
    expect([tunnels.length, forwarded.length]).toEqual([1, 1]);
    const strangers = createAgents({ env });
    for (const target of [`https://localhost:${securePort}/`, `http://api.example.com:${plainPort}/`]) {
      await expect(get(target, strangers)).rejects.toMatchObject({
        code: "EPROXY",
        message: expect.stringContaining(
          `proxy ${new URL(url).host}: unable to verify the first certificate`,
        ) as string,
      });
    }
  });

  test("use a proxy at an IPv6 address, for targets at IPv6 addresses", async () => {
    const { url, tunnels, forwarded } = await proxy({ host: "::1" });
    const agents = createAgents({ caFile: authority.caFile, env: { HTTP_PROXY: url, HTTPS_PROXY: url } });
    await get(`https://localhost:${securePort}/`, agents);
    await expect(get(`https://[::1]:${securePort}/`, agents)).rejects.toMatchObject({
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
    expect(tunnels).toEqual([`localhost:${securePort}`, `[::1]:${securePort}`]);
    await get(`http://[::1]:${plainPort}/`, agents);
    expect(forwarded).toEqual([`http://[::1]:${plainPort}/`]);
  });

  test("choose for each target by NO_PROXY", async () => {
    const { url, forwarded } = await proxy();
    const agents = createAgents({ env: { HTTP_PROXY: url, NO_PROXY: "localhost, 127.0.0.1" } });
    await get(`http://127.0.0.1:${plainPort}/`, agents);
    expect(forwarded).toEqual([]);
    await get(`http://bucket.example.com:${plainPort}/`, agents);
    expect(forwarded).toEqual([`http://bucket.example.com:${plainPort}/`]);
  });

  test("send the proxy its user and password, whatever characters they have", async () => {
    const { url, tunnels, forwarded } = await proxy({ credentials: "svc@corp:p@ss/wörd%" });
    const agents = createAgents({ caFile: authority.caFile, env: { HTTP_PROXY: url, HTTPS_PROXY: url } });
    await get(`http://api.example.com:${plainPort}/`, agents);
    await get(`https://localhost:${securePort}/`, agents);
    expect([tunnels.length, forwarded.length]).toEqual([1, 1]);
  });

  test("say that the proxy refused, without its password", async () => {
    const { url } = await proxy({ credentials: "user:right" });
    const agents = createAgents({ env: { HTTPS_PROXY: url.replace("right", "wrong") } });
    await expect(get(`https://localhost:${securePort}/`, agents)).rejects.toMatchObject({
      code: "EPROXY",
      message: `proxy ${new URL(url).host}: CONNECT localhost:${securePort}: HTTP 407`,
    });
  });

  test("say that the proxy cannot be reached", async () => {
    const gone = net.createServer().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const { port } = gone.address() as AddressInfo;
    gone.close();
    await once(gone, "close");
    const agents = createAgents({ env: { HTTP_PROXY: `127.0.0.1:${port}`, HTTPS_PROXY: `127.0.0.1:${port}` } });
    for (const target of [`https://localhost:${securePort}/`, `http://api.example.com:${plainPort}/`]) {
      await expect(get(target, agents)).rejects.toMatchObject({
        code: "EPROXY",
        message: `proxy 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
        cause: { code: "ECONNREFUSED" },
      });
    }
  });

  test("stop waiting for a proxy that does not answer", async () => {
    const { url } = await proxy({ silent: true });
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const answer = get(`https://localhost:${securePort}/`, createAgents({ env: { HTTPS_PROXY: url } }));
    const failure = expect(answer).rejects.toMatchObject({
      code: "EPROXY",
      message: `proxy ${new URL(url).host}: took longer than 30 s`,
    });
    vi.advanceTimersByTime(30_000);
    await failure;
  });

  test.each([
    ["socks5://user:s3cret@proxy:1080", "socks5"],
    ["http://user:s3cret@:x", "not a URL"],
    ["http://user:s3cret%@proxy:3128", "%25"],
    ["http://user:s3cret%ff@proxy:3128", "%25"],
  ])("refuse an unusable proxy, without its password: %s", (url, why) => {
    const make = () => createAgents({ env: { HTTPS_PROXY: url } });
    expect(make).toThrow(expect.objectContaining({ name: "ConfigError", code: "config" }) as Error);
    expect(make).toThrow(why);
    expect(make).not.toThrow("s3cret");
  });

  test("refuse a CA file that is missing, has no certificate, or has a broken one", () => {
    const broken = join(place, "broken.pem");
    writeFileSync(broken, "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n");
    const empty = join(place, "empty.pem");
    writeFileSync(empty, "");
    for (const caFile of [join(place, "missing.pem"), empty, broken]) {
      expect(() => createAgents({ caFile, env: {} })).toThrow(
        expect.objectContaining({ name: "ConfigError", message: expect.stringContaining(caFile) as string }) as Error,
      );
    }
  });
});

describe("the proxy of a target", () => {
  const through = (url: string, noProxy: string) =>
    proxyFor(new URL(url), { HTTPS_PROXY: "http://proxy:3128", NO_PROXY: noProxy }) !== undefined;

  test.each([
    ["https://api.example.com/", "", true],
    ["https://api.example.com/", "*", false],
    ["https://api.example.com/", "example.com", false],
    ["https://api.example.com/", ".example.com", false],
    ["https://example.com/", ".example.com", false],
    ["https://api.example.com/", "*.example.com", false],
    ["https://API.Example.COM/", "other.org, EXAMPLE.com", false],
    ["https://badexample.com/", "example.com", true],
    ["https://example.com.evil.org/", "example.com", true],
    ["https://example.com/", "example.com:443", false],
    ["https://example.com:8443/", "example.com:443", true],
    ["https://example.com:8443/", "a.org example.com:8443", false],
    ["https://10.0.0.7/", "10.0.0.7", false],
    ["https://[::1]:9000/", "::1", false],
    ["https://[::1]:9000/", "[::1]:9000", false],
    ["https://[::1]:9001/", "[::1]:9000", true],
    ["https://10.0.0.7/", "10.0.0.0/8", false],
    ["https://11.0.0.7/", "10.0.0.0/8", true],
    ["https://192.168.1.130/", "a.org,192.168.1.128/25", false],
    ["https://192.168.1.127/", "a.org,192.168.1.128/25", true],
    ["https://[fd00::7]/", "fd00::/8", false],
    ["https://[fd00::7]/", "[fd00::]/8", false],
    ["https://[fe80::7]/", "fd00::/8", true],
    ["https://10.0.0.7/", "::/0", true],
    ["https://10.0.0.7/", "10.0.0.0/33", true],
    ["https://10.0.0.7/", "10.0/8", true],
    ["https://ten.example.com/", "0.0.0.0/0", true],
    ["https://example.com/", "*:443", false],
    ["https://127.0.0.1/", "localhost", true],
    ["https://127.0.0.1/", "", true],
    ["http://api.example.com/", "", false],
  ])("%s with NO_PROXY=%j: uses the proxy: %s", (url, noProxy, expected) => {
    expect(through(url, noProxy)).toBe(expected);
  });

  test("is read from the lower-case name first, and needs no scheme", () => {
    const env = { HTTPS_PROXY: "http://upper:1", https_proxy: "lower:2" };
    expect(proxyFor(new URL("https://example.com"), env)?.href).toBe("http://lower:2/");
  });
});
