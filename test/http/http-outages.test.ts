import { mkdtempSync, rmSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { createAgents } from "../../src/http/agents.ts";
import { makeAuthority } from "../support/authority.ts";
import { failure, get, never, newClient, thrice } from "../support/client.ts";
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
  ])("%s is one of the network", async (_name, answer) => {
    const server = await serve(answer);
    const error = await failure(newClient().client.request(get(`${server.baseUrl}/a?actor_id=7`), never));
    expect(error).toMatchObject({ name: "TransientError", code: "network" });
    expect(error.message).toMatch(/^GET \/a: \S/);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("a body cut half-way is asked for again and never taken for an answer", async () => {
    let asked = 0;
    const server = await serve((request, response) => {
      if (++asked === 1) half(request, response);
      else answerWith(response, 200, "whole");
    });
    const { client } = newClient({ retry: thrice });
    expect((await client.request(get(server.baseUrl), never)).body.toString()).toBe("whole");
  });

  test("a port where nobody listens is one of the network", async () => {
    const { baseUrl } = await closedPort();
    const error = await failure(newClient().client.request(get(`${baseUrl}/a`), never));
    expect(error).toMatchObject({ code: "network" });
    expect(error.message).toMatch(/ECONNREFUSED/);
  });

  test("a host without an address says where to look", async () => {
    const error = await failure(newClient().client.request(get("http://nobody.invalid/a"), never));
    expect(error).toMatchObject({ name: "TransientError" });
    if (error.message.includes("ENOTFOUND")) expect(error.hint).toMatch(/DNS/);
  });

  test("a certificate that nobody trusts says so, and is taken once its authority is named", async () => {
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

  test("TLS where there is none says so", async () => {
    const server = await serve((_, response) => answerWith(response, 200, "{}"));
    const url = server.baseUrl.replace("http:", "https:");
    const error = await failure(newClient().client.request(get(url), never));
    expect(error).toMatchObject({ code: "network" });
    expect(error.hint).toMatch(/https:\/\/ and the port/);
  });
});

describe("a stall ends", () => {
  const short = { connectMs: 1000, headMs: 1000, idleMs: 1000, wholeMs: 5000 };

  test("when no head of an answer comes", async () => {
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

  test("when the body comes for ever, a byte at a time", async () => {
    const server = await serve((_, response) => {
      const drip = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(drip));
    });
    const { client } = newClient({ timeouts: { ...short, wholeMs: 300 } });
    expect(await failure(client.request(get(server.baseUrl), never))).toMatchObject({ code: "timeout" });
  });

  test("when the TLS handshake does", async () => {
    const server = createTcpServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/a`;
    const { client } = newClient({ timeouts: { ...short, connectMs: 100 } });
    const error = await failure(client.request(get(url), never));
    expect(error.message).toBe("GET /a: timed out waiting for the TLS handshake");
  });

  test("when an answer has no end: it is refused at its limit, also when it is small on the wire", async () => {
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

/** An address of this machine where nobody listens any more. */
async function closedPort(): Promise<{ baseUrl: string }> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return { baseUrl: `http://127.0.0.1:${port}` };
}
