import { addAbortSignal, type Readable } from "node:stream";
import type { PutObjectCommandInput, ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import { ProtocolError, RefusedError, TransientError } from "../../errors.ts";
import { contentTypeOf } from "../../formats/index.ts";
import type { Finding } from "../../source.ts";
import type { Entry, Store } from "../../store.ts";
import { epochMs } from "../../time.ts";
import { findings, proveCreate, storeSteps, PROBE } from "../preflight.ts";
import { s3Call, type Connection, type S3Call } from "./client.ts";
import { CONDITIONAL_STORES, NOT_S3_HINT, statusOf, type S3Request } from "./errors.ts";
import { placeOf, rootOf, type S3Options } from "./options.ts";
import { leastPolicy } from "./policy.ts";

/** An object is read into memory as a whole. This program writes none that is larger than this. */
const OBJECT_MAX_BYTES = 1024 ** 3;

type Extra = Partial<PutObjectCommandInput>;

/**
 * A prefix of a bucket as a store. Each object is written with one PutObject, never in parts: readers go by Last-Modified,
 * which for a multipart upload is when it began. Creation relies on `If-None-Match: *` (RFC 9110, section 13.1.2).
 */
export function s3Store(options: S3Options): Store {
  const call = s3Call(options);
  const root = rootOf(options);
  const request = (operation: S3Request["operation"], key: string): S3Request => ({
    operation,
    url: `s3://${options.bucket}/${root}${key}`,
  });

  async function createWith(key: string, bytes: Buffer, extra: Extra, signal: AbortSignal): Promise<boolean> {
    const answer = await call(request("PUT", key), signal, async (connection) => {
      try {
        await put(connection, options, key, bytes, { ...extra, IfNoneMatch: "*" });
        return "created";
      } catch (error) {
        if (statusOf(error) === 412) return "exists";
        // Another writer is writing the same key. The answer does not say who was first.
        if (statusOf(error) === 409) return "conflict";
        throw error;
      }
    });
    if (answer !== "conflict") return answer === "created";
    if (await exists(key, signal)) return false;
    const message = `PUT ${request("PUT", key).url}: HTTP 409: another writer is creating the same object`;
    throw new TransientError("unavailable", message);
  }

  async function exists(key: string, signal: AbortSignal): Promise<boolean> {
    for await (const entry of store.list(key, undefined, signal)) if (entry.key === key) return true;
    return false;
  }

  const store: Store = {
    place: placeOf(options),
    create: (key, bytes, signal) => createWith(key, bytes, lockOf(options), signal),

    replace: (key, bytes, signal) =>
      call(request("PUT", key), signal, (connection) => put(connection, options, key, bytes, {})),

    async read(key, signal) {
      try {
        return await call(request("GET", key), signal, (connection) => get(connection, options.bucket, root + key));
      } catch (error) {
        // With permission to list only a prefix, S3 answers 403 for missing objects. A listing of that key tells the two apart.
        if (error instanceof RefusedError && error.code === "forbidden" && !(await exists(key, signal)))
          return undefined;
        throw error;
      }
    },

    list: (prefix, after, signal) => list(call, options, prefix, after, signal),

    probe(probeKey, signal) {
      // Without a lock: a probe should not be an object that no one can remove for a year.
      const create: Store["create"] = (key, bytes) => createWith(key, bytes, {}, signal);
      return proveCreate({ place: store.place, create }, probeKey, CONDITIONAL_STORES, signal);
    },

    check: (probeKey, signal) => check(options, store, createWith, probeKey, signal),
  };
  return store;
}

async function* check(
  options: S3Options,
  store: Store,
  createWith: (key: string, bytes: Buffer, extra: Extra, signal: AbortSignal) => Promise<boolean>,
  probeKey: string,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const steps = [...storeSteps(store, probeKey, signal)];
  if (options.objectLock !== undefined) {
    const what = `the bucket accepts Object Lock headers (${options.objectLock.mode})`;
    // On a key that exists: a bucket without Object Lock refuses the headers, one with it refuses the key.
    steps.push({ what, run: () => createWith(probeKey, PROBE, lockOf(options), signal) });
  }
  for await (const finding of findings(steps, signal)) {
    if (finding.error instanceof RefusedError && finding.error.code === "forbidden") {
      const hint = `${finding.hint ?? ""}\nThe policy with the fewest permissions that are needed:\n${leastPolicy(options)}`;
      yield { ...finding, hint };
    } else yield finding;
  }
}

function lockOf({ objectLock, now = Date.now }: S3Options): Extra {
  if (objectLock === undefined) return {};
  return {
    ObjectLockMode: objectLock.mode,
    ObjectLockRetainUntilDate: new Date(now() + objectLock.retainMs),
  };
}

async function put(
  { sdk, client, signal }: Connection,
  options: S3Options,
  key: string,
  bytes: Buffer,
  extra: Extra,
): Promise<void> {
  const { bucket, kmsKeyId, objectLock, serverSideEncryption } = options;
  const command = new sdk.PutObjectCommand({
    Bucket: bucket,
    Key: rootOf(options) + key,
    Body: bytes,
    ContentLength: bytes.length,
    // Never a Content-Encoding: HTTP clients would decompress the object, and its hash would differ from the manifest's.
    ContentType: contentTypeOf(key) ?? (key.endsWith(".json") ? "application/json" : "application/octet-stream"),
    ...(serverSideEncryption !== undefined && { ServerSideEncryption: serverSideEncryption }),
    ...(kmsKeyId !== undefined && { SSEKMSKeyId: kmsKeyId }),
    // S3 requires a checksum for an object that gets a lock, also if the lock is the bucket's default.
    ...(objectLock !== undefined && { ChecksumAlgorithm: "SHA256" as const }),
    ...extra,
  });
  const { ETag } = await client.send(command, { abortSignal: signal });
  if (ETag === undefined) throw notS3(`PUT s3://${bucket}/${rootOf(options)}${key}`);
}

async function get({ sdk, client, signal }: Connection, bucket: string, key: string): Promise<Buffer | undefined> {
  try {
    const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: key });
    const { Body, ContentLength, ETag } = await client.send(command, { abortSignal: signal });
    if (Body === undefined || ETag === undefined) throw notS3(`GET s3://${bucket}/${key}`);
    const body = addAbortSignal(signal, Body as Readable);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > OBJECT_MAX_BYTES) {
        throw new RefusedError("bad_request", `GET s3://${bucket}/${key}: more than ${OBJECT_MAX_BYTES} bytes`);
      }
    }
    if (ContentLength !== undefined && length !== ContentLength) {
      throw new TransientError("network", `GET s3://${bucket}/${key}: got ${length} of ${ContentLength} bytes`);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    // Not every 404: if the bucket is missing or the server is the wrong one, nothing is known of the object.
    if (error instanceof Error && error.name === "NoSuchKey") return undefined;
    throw error;
  }
}

async function* list(
  call: S3Call,
  options: S3Options,
  prefix: string,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Entry> {
  const root = rootOf(options);
  const request: S3Request = { operation: "LIST", url: `s3://${options.bucket}/${root}${prefix}` };
  const seen = new Set<string>();
  for (let token: string | undefined; ;) {
    const page = await call(request, signal, ({ sdk, client, signal: limit }) => {
      const input = {
        Bucket: options.bucket,
        Prefix: root + prefix,
        ...(after !== undefined && { StartAfter: root + after }),
        ...(token !== undefined && { ContinuationToken: token }),
      };
      return client.send(new sdk.ListObjectsV2Command(input), { abortSignal: limit });
    });
    // An answer without any of these is not a listing. Taken for an empty listing, it would hide a ledger.
    if (page.Name === undefined && page.KeyCount === undefined && page.Contents === undefined) {
      throw notS3(`${request.operation} ${request.url}`);
    }
    for (const entry of entriesOf(page, root)) {
      // Not every store supports StartAfter.
      if (entry.key.startsWith(prefix) && (after === undefined || entry.key > after)) yield entry;
    }
    if (page.IsTruncated !== true) return;
    token = page.NextContinuationToken;
    if (token === undefined || seen.has(token)) {
      throw new ProtocolError(`${request.operation} ${request.url}: the continuation token does not advance`);
    }
    seen.add(token);
  }
}

function* entriesOf({ Contents = [] }: ListObjectsV2CommandOutput, root: string): Generator<Entry> {
  for (const { Key, Size, LastModified } of Contents) {
    // A key that ends with a slash is a folder that was made in a console.
    if (Key?.startsWith(root) !== true || Key.endsWith("/")) continue;
    yield { key: Key.slice(root.length), bytes: Size ?? 0, modified: epochMs(LastModified?.getTime() ?? 0) };
  }
}

function notS3(what: string): ProtocolError {
  return new ProtocolError(`${what}: the answer is not from S3`, { hint: NOT_S3_HINT });
}
