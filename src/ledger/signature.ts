import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError, UsageError } from "../errors.ts";
import type { Link } from "./manifest.ts";

/** Keeps a signature over a manifest from being used as one over anything else. */
const DOMAIN = "siem-export-manifest-v1\n";

/** Signs the first lines of manifests. */
export interface Signer {
  /** Identifies the key: the first 16 hex digits of the SHA-256 of the public key (SPKI, DER). */
  readonly keyId: string;
  /** Ed25519 over `siem-export-manifest-v1\n` and the line; base64. */
  sign(line: string): string;
}

/** A key that manifests are checked against, and the sequences that it may sign. */
export interface PublicKey {
  readonly keyId: string;
  readonly key: KeyObject;
  readonly fromSeq: number;
  readonly toSeq: number;
}

/** @throws ConfigError if the file is not an Ed25519 private key in PEM; the message never shows its content */
export function readSigner(path: string): Signer {
  const key = keyIn(path, "private", createPrivateKey);
  const keyId = keyIdOf(createPublicKey(key));
  return { keyId, sign: (line) => sign(null, Buffer.from(DOMAIN + line), key).toString("base64") };
}

/**
 * Reads `FILE`, or `FILE@FROM-TO` for a key that signed only these sequences (`FILE@100-`: from 100 on).
 * @throws UsageError if the range is not valid
 * @throws ConfigError if the file is not an Ed25519 public key in PEM
 */
export function readPublicKey(text: string): PublicKey {
  const [, path = text, from, to] = /^(.*)@(\d+)-(\d*)$/.exec(text) ?? [];
  const [fromSeq, toSeq] = [Number(from ?? 1), to === undefined || to === "" ? Infinity : Number(to)];
  if (fromSeq < 1 || toSeq < fromSeq)
    throw new UsageError(`--public-key ${text}: not a range of sequences, such as 1-99`);
  const key = keyIn(path, "public", createPublicKey);
  return { keyId: keyIdOf(key), key, fromSeq, toSeq };
}

/**
 * Checks the signature of a manifest: `missing` if it has none, `unknown key` if none of the keys with its id may sign its
 * sequence, `bad` if the key did not make it or if it names another key than line 1 does.
 */
export function verifySignature(
  { manifest, line, signature }: Link,
  keys: readonly PublicKey[],
): "ok" | "missing" | "bad" | "unknown key" {
  if (signature.alg === "none") return manifest.keyId === null ? "missing" : "bad";
  if (signature.keyId !== manifest.keyId) return "bad";
  const known = keys.filter(({ keyId, fromSeq, toSeq }) => {
    return keyId === signature.keyId && manifest.seq >= fromSeq && manifest.seq <= toSeq;
  });
  if (known.length === 0) return "unknown key";
  const signed = Buffer.from(DOMAIN + line);
  return known.some(({ key }) => verify(null, signed, key, Buffer.from(signature.sig, "base64"))) ? "ok" : "bad";
}

/** A new key pair, in PEM. */
export function newKeys(): { readonly keyId: string; readonly privatePem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    keyId: keyIdOf(publicKey),
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    publicPem: publicKey.export({ type: "spki", format: "pem" }) as string,
  };
}

function keyIdOf(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex")
    .slice(0, 16);
}

function keyIn(path: string, kind: "private" | "public", read: (pem: string) => KeyObject): KeyObject {
  const hint = `give the file of the ${kind} key; siem-export keygen creates a key pair`;
  let pem: string;
  try {
    pem = readFileSync(path, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "failed";
    throw new ConfigError(`read the ${kind} key ${path}: ${code}`, { hint, cause });
  }
  let key: KeyObject | undefined;
  try {
    // createPublicKey would accept a private key, too. Verifying must not need one.
    if (pem.includes(`-----BEGIN ${kind.toUpperCase()} KEY-----`)) key = read(pem);
  } catch {
    // The parser's message may show what it read, so it is dropped.
  }
  if (key?.asymmetricKeyType !== "ed25519") {
    throw new ConfigError(`read the ${kind} key ${path}: it contains no Ed25519 ${kind} key in PEM`, { hint });
  }
  return key;
}
