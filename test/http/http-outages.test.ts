import { mkdtempSync, rmSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { createAgents } from "../../src/http/agents.ts";
import { makeAuthority } from "../support/authority.ts";
import { failure, get, never, newClient, thrice } from "../support/client.ts";
import { startProxy } from "../support/proxy.ts";
import { answerWith, serve } from "../support/serve.ts";

describe("an outage", () => {
  const half: RequestListener = (_, response) => {
    response.writeHead(200, { "content-length": "999" }).write('{"data":[', () => response.destroy());
  };

  test.each<[string, RequestListener]>([
    ["a body cut half-way", half],
    ["a chunked body cut half-way", (_, response) => response.write('{"data":[', () => response.destroy())],
    [
      "a compressed body cut half-way",
      (_, response) => {
        response.writeHead(200, { "content-encoding": "gzip" });
        response.end(gzipSync("x".repeat(10_000)).subarray(0, 20));
      },
    ],
    ["a connection closed without an answer", (request) => request.socket.destroy()],
    ["something that is not HTTP", (request) => request.socket.end("SSH-2.0-OpenSSH_9.2\r\n\r\n")],
  ])("%s is a network error", async (_name, answer) => {
    const server = await serve(answer);
    const error = await failure(newClient().client.request(get(`${server.baseUrl}/a?actor_id=7`), never));
    expect(error).toMatchObject({ name: "TransientError", code: "network" });
    expect(error.message).toMatch(/^GET \/a: \S/);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("a body cut half-way is requested again and never used as an answer", async () => {
    let asked = 0;
    const server = await serve((request, response) => {
      if (++asked === 1) half(request, response);
      else answerWith(response, 200, "whole");
    });
    const { client } = newClient({ retry: thrice });
    expect((await client.request(get(server.baseUrl), never)).body.toString()).toBe("whole");
  });

  test("a closed port is a network error, and the hint says what to check", async () => {
    const { baseUrl } = await closedPort();
    const error = await failure(newClient().client.request(get(`${baseUrl}/a`), never));
    expect(error).toMatchObject({ code: "network" });
    expect(error.message).toMatch(/ECONNREFUSED/);
    expect(error.hint).toMatch(/host and port in baseUrl/);
  });

  test("a proxy that refuses is named, with a hint about its variables, and its password is not shown", async () => {
    const proxy = await startProxy({ credentials: "user:right" });
    onTestFinished(() => proxy.close());
    const url = proxy.url.replace("right", "wr0ng");
    for (const target of ["https://api.example.com/a", "http://api.example.com/a"]) {
      const agents = createAgents({ env: { HTTP_PROXY: url, HTTPS_PROXY: url } });
      const error = await failure(newClient({ agents }).client.request(get(target), never));
      expect(error).toMatchObject({ name: "TransientError", code: "network" });
      expect(error.message).toMatch(/^GET \/a: (?:proxy 127\.0\.0\.1:\d+: CONNECT api\.example\.com:443: )?HTTP 407/);
      expect(error.hint).toMatch(/HTTP_PROXY/);
      expect(inspect(error)).not.toMatch(/wr0ng|dXNlcj/);
    }
  });

  test("an unknown host has a hint about DNS", async () => {
    const error = await failure(newClient().client.request(get("http://nobody.invalid/a"), never));
    expect(error).toMatchObject({ name: "TransientError" });
    if (error.message.includes("ENOTFOUND")) expect(error.hint).toMatch(/DNS/);
  });

  test("an untrusted certificate has a hint about caFile, and is accepted with its authority in caFile", async () => {
    const directory = mkdtempSync(join(tmpdir(), "http-test-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const { caFile, key, cert } = makeAuthority(directory);
    const server = createSecureServer({ key, cert }, (_, response) => answerWith(response, 200, "{}"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.close().closeAllConnections();
    });
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/a`;

    const error = await failure(newClient({ agents: createAgents({ env: {} }) }).client.request(get(url), never));
    expect(error).toMatchObject({ name: "TransientError", code: "network" });
    expect(error.hint).toMatch(/caFile/);

    const agents = createAgents({ caFile, env: {} });
    onTestFinished(() => agents.https.destroy());
    expect((await newClient({ agents }).client.request(get(url), never)).status).toBe(200);
  });

  test("TLS to a plain HTTP port has a hint", async () => {
    const server = await serve((_, response) => answerWith(response, 200, "{}"));
    const url = server.baseUrl.replace("http:", "https:");
    const error = await failure(newClient().client.request(get(url), never));
    expect(error).toMatchObject({ code: "network" });
    expect(error.hint).toMatch(/https:\/\/ and the port/);
  });
});

describe("a stalled request ends", () => {
  const short = { connectMs: 1000, headMs: 1000, idleMs: 1000, wholeMs: 5000 };

  test("when no answer begins", async () => {
    const server = await serve(() => undefined);
    const { client } = newClient({ timeouts: { ...short, headMs: 50 } });
    const error = await failure(client.request(get(`${server.baseUrl}/a`), never));
    expect(error).toMatchObject({ name: "TransientError", code: "timeout" });
    expect(error.message).toBe("GET /a: timed out waiting for the head of the answer");
  });

  test("when the body stops", async () => {
    const server = await serve((_, response) => response.writeHead(200).write("{"));
    const { client } = newClient({ timeouts: { ...short, idleMs: 50 } });
    expect(await failure(client.request(get(server.baseUrl), never))).toMatchObject({ code: "timeout" });
  });

  test("when the body never ends, one byte at a time", async () => {
    const server = await serve((_, response) => {
      const drip = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(drip));
    });
    const { client } = newClient({ timeouts: { ...short, wholeMs: 300 } });
    expect(await failure(client.request(get(server.baseUrl), never))).toMatchObject({ code: "timeout" });
  });

  test("when the TLS handshake stalls", async () => {
    const server = createTcpServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/a`;
    const { client } = newClient({ timeouts: { ...short, connectMs: 100 } });
    const error = await failure(client.request(get(url), never));
    expect(error.message).toBe("GET /a: timed out waiting for the TLS handshake");
  });

  test("when an answer is endless: it is refused at the limit, even if it is small when compressed", async () => {
    const megabyte = gzipSync(Buffer.alloc(1024 * 1024));
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-encoding": "gzip" });
      const pour = () => {
        while (response.write(megabyte));
      };
      response.on("drain", pour);
      pour();
    });
    const error = await failure(newClient().client.request(get(server.baseUrl), never));
    expect(error).toMatchObject({ name: "ProtocolError" });
    expect(error.message).toMatch(/larger than 268435456 bytes/);
  });
});

/** A local address where no server listens. */
async function closedPort(): Promise<{ baseUrl: string }> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return { baseUrl: `http://127.0.0.1:${port}` };
}
