import { mkdtempSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { keygen } from "../../src/commands/keygen.ts";
import { tick } from "../../src/export/tick.ts";
import { decodeManifest, type Link } from "../../src/ledger/manifest.ts";
import { newKeys, readPublicKey, readSigner, verifySignature } from "../../src/ledger/signature.ts";
import { epochMs, MINUTE_MS } from "../../src/time.ts";
import { never, START, world } from "../support/world.ts";

const folder = mkdtempSync(join(tmpdir(), "siem-export-keys-"));

function pair(name: string) {
  const keys = newKeys();
  writeFileSync(join(folder, `${name}.key`), keys.privatePem);
  writeFileSync(join(folder, `${name}.pub`), keys.publicPem);
  return { signer: readSigner(join(folder, `${name}.key`)), path: join(folder, `${name}.pub`), keyId: keys.keyId };
}

const ours = pair("ours");
const theirs = pair("theirs");

async function links(signer?: typeof ours.signer): Promise<Link[]> {
  const { pipeline, files } = world([], { signer });
  await tick(pipeline, epochMs(START + 12 * MINUTE_MS), never);
  return [1, 2].map((seq) => {
    const key = `ledger/manifests/${String(seq).padStart(12, "0")}.json`;
    return decodeManifest(files.get(key)!, "test", seq, key);
  });
}

test("a signed manifest names its key in both lines, and the signature is valid", async () => {
  const [first, second] = await links(ours.signer);
  expect(first!.manifest.keyId).toBe(ours.keyId);
  expect(first!.signature).toMatchObject({ alg: "Ed25519", keyId: ours.keyId });
  for (const link of [first!, second!]) expect(verifySignature(link, [readPublicKey(ours.path)])).toBe("ok");
});

test("a signature covers line 1 and a prefix that keeps it from being used for anything else", async () => {
  const [link] = await links(ours.signer);
  const key = readPublicKey(ours.path);
  expect(verifySignature({ ...link!, line: `${link!.line} ` }, [key])).toBe("bad");
  const swapped = { ...link!, signature: { ...link!.signature, sig: Buffer.alloc(64).toString("base64") } } as Link;
  expect(verifySignature(swapped, [key])).toBe("bad");
});

test("a removed signature is noticed, and one by another key is unknown", async () => {
  const [link] = await links(ours.signer);
  expect(verifySignature({ ...link!, signature: { alg: "none" } }, [readPublicKey(ours.path)])).toBe("bad");
  expect(verifySignature(link!, [readPublicKey(theirs.path)])).toBe("unknown key");
  const [unsigned] = await links();
  expect(unsigned!.manifest.keyId).toBeNull();
  expect(verifySignature(unsigned!, [readPublicKey(ours.path)])).toBe("missing");
});

test("a key is valid only for the sequences that it was limited to", async () => {
  const [first, second] = await links(ours.signer);
  const early = [readPublicKey(`${ours.path}@1-1`)];
  expect(verifySignature(first!, early)).toBe("ok");
  expect(verifySignature(second!, early)).toBe("unknown key");
  expect(verifySignature(second!, [readPublicKey(`${ours.path}@2-`)])).toBe("ok");
  expect(() => readPublicKey(`${ours.path}@5-2`)).toThrow("not a range of sequences");
});

test("a file without an Ed25519 key is refused, and its bytes are not shown", () => {
  const path = join(folder, "wrong");
  writeFileSync(path, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXNlY3JldA==\n-----END PRIVATE KEY-----\n");
  expect(() => readSigner(path)).toThrow(`read the private key ${path}: it contains no Ed25519 private key in PEM`);
  writeFileSync(
    path,
    generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }),
  );
  expect(() => readSigner(path)).toThrow("no Ed25519 private key");
  // Verifying must not need the private key.
  expect(() => readPublicKey(join(folder, "ours.key"))).toThrow("no Ed25519 public key");
  expect(() => readSigner(join(folder, "absent"))).toThrow("ENOENT");
});

test("keygen writes a matching pair, the private key readable only by its owner, and overwrites nothing", async () => {
  const out = join(folder, "made");
  expect(await keygen.run({ out }, new AbortController().signal)).toBe(0);
  expect(statSync(`${out}.key`).mode & 0o777).toBe(0o600);
  const [link] = await links(readSigner(`${out}.key`));
  expect(verifySignature(link!, [readPublicKey(`${out}.pub`)])).toBe("ok");
  await expect(keygen.run({ out }, new AbortController().signal)).rejects.toThrow("EEXIST");
});
