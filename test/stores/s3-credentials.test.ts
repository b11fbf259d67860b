import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test, vi } from "vitest";
import { RefusedError } from "../../src/errors.ts";
import { s3Store } from "../../src/stores/s3/s3.ts";
import { answer, refuse, serve, stored, type Seen } from "../support/s3-server.ts";

/* AWS's own chain of credentials: without keys in the configuration, they come from the process's environment. */

const never = new AbortController().signal;
const bytes = Buffer.from("x");
const place = mkdtempSync(join(tmpdir(), "siem-export-credentials-"));

beforeEach(() => {
  // The user who runs the tests may have credentials. The tests must not use them.
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  vi.stubEnv("AWS_CONFIG_FILE", join(place, "none"));
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", join(place, "none"));
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

const storeAt = (endpoint: string) =>
  s3Store({ bucket: "bucket", prefix: "p", region: "eu-central-1", endpoint, env: {} });

const keyOf = ({ headers }: Seen) => /Credential=(\w+)/.exec(headers.authorization ?? "")?.[1];

/** The answer of a container's agent: credentials that expire `lifeMs` from now. */
const container = (key: string, lifeMs: number) => {
  const Expiration = new Date(Date.now() + lifeMs).toISOString();
  const body = { AccessKeyId: key, SecretAccessKey: "SECRET", Token: `token-${key}`, Expiration };
  return answer(200, JSON.stringify(body), { "content-type": "application/json" });
};

const assumed = (key: string) =>
  answer(
    200,
    `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
      <Credentials><AccessKeyId>${key}</AccessKeyId><SecretAccessKey>SECRET</SecretAccessKey><SessionToken>token-${key}</SessionToken>
      <Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials>
    </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    { "content-type": "text/xml" },
  );

test("a container's role is used, and its credentials are renewed only when they are about to expire", async () => {
  const agent = await serve([container("FIRST", 60_000), container("SECOND", 3_600_000)]);
  vi.stubEnv("AWS_CONTAINER_CREDENTIALS_FULL_URI", `${agent.url}/role`);
  vi.stubEnv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "agent-token");
  const bucket = await serve(stored);
  const store = storeAt(bucket.url);
  for (let round = 0; round < 3; round++) await store.replace("checkpoint.json", bytes, never);
  expect(agent.seen.map(({ path, headers }) => [path, headers.authorization])).toEqual([
    ["/role", "agent-token"],
    ["/role", "agent-token"],
  ]);
  expect(bucket.seen.map(keyOf).at(-1)).toBe("SECOND");
  expect(bucket.seen.at(-1)?.headers["x-amz-security-token"]).toBe("token-SECOND");
});

test("the role of a Kubernetes service account (web identity) is used", async () => {
  const sts = await serve(assumed("IRSA"));
  const tokenFile = join(place, "token");
  writeFileSync(tokenFile, "web-identity-token");
  vi.stubEnv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/siem-export");
  vi.stubEnv("AWS_WEB_IDENTITY_TOKEN_FILE", tokenFile);
  vi.stubEnv("AWS_ENDPOINT_URL_STS", sts.url);
  const bucket = await serve(stored);
  const store = storeAt(bucket.url);
  await store.replace("checkpoint.json", bytes, never);
  await store.replace("checkpoint.json", bytes, never);
  expect(bucket.seen.map(keyOf)).toEqual(["IRSA", "IRSA"]);
  expect(sts.seen).toHaveLength(1);
  expect(new URLSearchParams(String(sts.seen[0]?.body)).get("WebIdentityToken")).toBe("web-identity-token");
});

test("a role that must not be assumed is reported differently from a bucket that must not be used", async () => {
  const sts = await serve(refuse(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
  const tokenFile = join(place, "token");
  writeFileSync(tokenFile, "web-identity-token");
  vi.stubEnv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/other");
  vi.stubEnv("AWS_WEB_IDENTITY_TOKEN_FILE", tokenFile);
  vi.stubEnv("AWS_ENDPOINT_URL_STS", sts.url);
  const bucket = await serve(stored);
  await expect(storeAt(bucket.url).replace("checkpoint.json", bytes, never)).rejects.toMatchObject({
    name: "RefusedError",
    code: "unauthorized",
    message: expect.stringMatching(/^sign in for s3:\/\/bucket\/p: no credentials: /) as string,
  });
  expect(bucket.seen).toEqual([]);
});

test("without any credentials the error names what to set", async () => {
  const bucket = await serve(stored);
  await expect(storeAt(bucket.url).replace("checkpoint.json", bytes, never)).rejects.toMatchObject({
    name: "RefusedError",
    code: "unauthorized",
    hint: expect.stringContaining("accessKeyId") as string,
  });
  expect(bucket.seen).toEqual([]);
});

test("a secret that cannot be read is reported as that", async () => {
  const bucket = await serve(stored);
  const unreadable = new RefusedError("unauthorized", "read secret file /run/secrets/key: no such file");
  const secretAccessKey = () => {
    throw unreadable;
  };
  const store = s3Store({
    bucket: "bucket",
    prefix: "p",
    endpoint: bucket.url,
    accessKeyId: () => "KEY",
    secretAccessKey,
    env: {},
  });
  await expect(store.replace("checkpoint.json", bytes, never)).rejects.toBe(unreadable);
});

test("without a region the error names what to set", async () => {
  const store = s3Store({
    bucket: "bucket",
    prefix: "p",
    accessKeyId: () => "KEY",
    secretAccessKey: () => "SECRET",
    env: {},
  });
  await expect(store.read("x", never)).rejects.toMatchObject({
    name: "ConfigError",
    hint: expect.stringContaining("AWS_REGION") as string,
  });
});
