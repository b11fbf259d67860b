import { z } from "zod";
import { DAY_MS, SECOND_MS } from "../time.ts";
import {
  address,
  choice,
  directory,
  duration,
  group,
  readableFile,
  secretFile,
  secretText,
  text,
  yesOrNo,
} from "./values/values.ts";
import type { Secret } from "./values/secret.ts";
import { rules, type Rule } from "./values/rules.ts";

/* Where events and ledgers go. */

const objectLock = group({
  mode: choice(["COMPLIANCE", "GOVERNANCE"]).describe(
    "COMPLIANCE: nobody can end the lock early, not even the account's root. GOVERNANCE: a special right can.",
  ),
  retain: duration(SECOND_MS, 36_500 * DAY_MS).describe("How long an object stays locked after it is written."),
}).transform(({ mode, retain }) => ({ mode, retainMs: retain }));

/** For the place of a ledger, wherever that is. */
const signing = {
  signingKeyFile: readableFile()
    .optional()
    .describe("A PEM file with the Ed25519 private key that signs the manifests; siem-export keygen makes one."),
};

/** A bucket of AWS or of a store that speaks its language. */
const s3Keys = {
  type: z.literal("s3").describe("A bucket of AWS S3, or of a store that speaks its language."),
  bucket: text("a bucket's name: 3 to 255 letters, digits, dots, dashes and underscores", /^[\w.-]{3,255}$/).describe(
    "The bucket. Its store must know conditional writes (If-None-Match), as AWS, MinIO, R2 and Ceph do.",
  ),
  prefix: text("a path without a slash at its ends, such as audit/pachca", /^(?:[^/\p{Cc}]+(?:\/[^/\p{Cc}]+)*)?$/u)
    .default("")
    .describe("Comes before the stream's name in the name of each object."),
  region: text("a region, such as eu-central-1", /^[\w-]+$/)
    .optional()
    .describe("The bucket's region. Without it: AWS_REGION or AWS_DEFAULT_REGION, then your AWS profile."),
  endpoint: address("https://minio.example:9000")
    .optional()
    .describe("The address of an S3-compatible store. Without it: AWS."),
  forcePathStyle: yesOrNo()
    .optional()
    .describe(
      "Whether the bucket stands in the path of a URL, not in its host. Without it: true where endpoint is set.",
    ),
  accessKeyId: secretText()
    .optional()
    .describe("An access key. Without it: AWS's usual chain of environment, profile and role."),
  accessKeyIdFile: secretFile().optional().describe("A file that holds the access key's id."),
  secretAccessKey: secretText().optional().describe("The secret of the access key."),
  secretAccessKeyFile: secretFile().optional().describe("A file that holds the secret of the access key."),
  sessionToken: secretText().optional().describe("The session token of a temporary access key."),
  sessionTokenFile: secretFile().optional().describe("A file that holds the session token of a temporary access key."),
  serverSideEncryption: choice(["AES256", "aws:kms"])
    .optional()
    .describe("How the store encrypts objects. Without it: as the bucket is set up."),
  kmsKeyId: text("the id or ARN of a key", /^\S+$/)
    .optional()
    .describe("The KMS key for serverSideEncryption aws:kms. Without it: the account's own."),
  objectLock: objectLock
    .optional()
    .describe("Locks each object against change and deletion. The bucket must have been made with Object Lock."),
  caFile: readableFile().optional().describe("A PEM file of certificate authorities to trust besides the public ones."),
};

/** Each secret's value or file becomes one. */
const withSecrets = <Keys extends S3Secrets>({
  accessKeyIdFile,
  secretAccessKeyFile,
  sessionTokenFile,
  ...rest
}: Keys) => ({
  ...rest,
  accessKeyId: rest.accessKeyId ?? accessKeyIdFile,
  secretAccessKey: rest.secretAccessKey ?? secretAccessKeyFile,
  sessionToken: rest.sessionToken ?? sessionTokenFile,
  forcePathStyle: rest.forcePathStyle ?? rest.endpoint !== undefined,
});

type S3Secrets = Partial<
  Record<`${"accessKeyId" | "secretAccessKey" | "sessionToken"}${"" | "File"}`, Secret | undefined>
> & { forcePathStyle?: boolean | undefined; endpoint?: string | undefined };

export const s3 = group(s3Keys).check(rules(keyRules)).transform(withSecrets);
export const s3Ledger = group({ ...s3Keys, ...signing })
  .check(rules(keyRules))
  .transform(withSecrets);

function keyRules(keys: Readonly<Record<string, unknown>>): readonly Rule[] {
  const has = (key: string) => keys[key] !== undefined || keys[`${key}File`] !== undefined;
  const twice = (key: string): Rule => [
    `${key}File`,
    `set beside ${key}; keep one of them`,
    keys[key] !== undefined && keys[`${key}File`] !== undefined,
  ];
  const [id, secret] = [has("accessKeyId"), has("secretAccessKey")];
  return [
    twice("accessKeyId"),
    twice("secretAccessKey"),
    twice("sessionToken"),
    ["secretAccessKey", "missing beside accessKeyId; set both (or their …File) or none", id && !secret],
    ["accessKeyId", "missing beside secretAccessKey; set both (or their …File) or none", secret && !id],
    [
      "accessKeyId",
      "missing beside sessionToken; set accessKeyId and secretAccessKey too",
      has("sessionToken") && !id && !secret,
    ],
    [
      "kmsKeyId",
      "needs serverSideEncryption: aws:kms",
      keys["kmsKeyId"] !== undefined && keys["serverSideEncryption"] !== "aws:kms",
    ],
  ];
}

/** A folder on this machine. */
const fileKeys = {
  type: z.literal("file").describe("A folder on this machine."),
  directory: directory().describe("The folder. It is made if absent; the stream gets a folder with its name in it."),
};

export const file = group(fileKeys);
export const fileLedger = group({ ...fileKeys, ...signing });

/** Where the ledger is anyway. */
export const beside = group({
  type: z.literal("beside").describe("Beside the data, or in stateDirectory where the sink can hold none."),
  ...signing,
});

export const stdout = group({
  type: z.literal("stdout").describe("Lines on standard output, to try things out or to pipe them on."),
});
