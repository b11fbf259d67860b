import { address, choice, duration, group, readableFile, text, yesOrNo } from "../config/values/values.ts";
import type { Rule } from "../config/values/rules.ts";
import { secretKeys, secretRules } from "../config/values/secret-keys.ts";
import type { S3Options } from "../stores/s3/options.ts";
import { s3Remover } from "../stores/s3/remove.ts";
import { s3Store } from "../stores/s3/s3.ts";
import { DAY_MS, SECOND_MS } from "../time.ts";
import { defineSink, type Loose } from "./define.ts";

const objectLock = group({
  mode: choice(["COMPLIANCE", "GOVERNANCE"]).describe(
    "COMPLIANCE: no one can end the lock early, not even the account's root. GOVERNANCE: users with a special permission can.",
  ),
  retain: duration(SECOND_MS, 36_500 * DAY_MS).describe("How long an object stays locked after it is written."),
}).transform(({ mode, retain }) => ({ mode, retainMs: retain }));

export const s3 = defineSink({
  type: "s3",
  about: "A bucket of AWS S3 or of an S3-compatible store.",
  guarantee:
    "each event exactly once in the objects that manifests name, whatever crashes; needs a store with conditional writes",
  keys: {
    bucket: text("a bucket's name: 3 to 255 letters, digits, dots, dashes and underscores", /^[\w.-]{3,255}$/).describe(
      "The bucket. Its store must support conditional writes (If-None-Match), as AWS, MinIO, R2 and Ceph do.",
    ),
    prefix: text(
      "a path without a slash at the start or end, such as audit/pachca",
      /^(?:[^/\p{Cc}]+(?:\/[^/\p{Cc}]+)*)?$/u,
    )
      .default("")
      .describe("Comes before the stream's name in the name of each object."),
    region: text("a region, such as eu-central-1", /^[\w-]+$/)
      .optional()
      .describe("The bucket's region. Default: AWS_REGION or AWS_DEFAULT_REGION, then your AWS profile."),
    endpoint: address("https://minio.example:9000")
      .optional()
      .describe("The URL of an S3-compatible store. Default: AWS."),
    forcePathStyle: yesOrNo()
      .optional()
      .describe("Whether URLs have the bucket in the path instead of the host. Default: true if endpoint is set."),
    ...secretKeys(
      "accessKeyId",
      "The id of an access key. Default: AWS's usual chain of environment, profile and role.",
    ),
    ...secretKeys("secretAccessKey", "The secret of the access key."),
    ...secretKeys("sessionToken", "The session token of a temporary access key."),
    serverSideEncryption: choice(["AES256", "aws:kms"])
      .optional()
      .describe("How the store encrypts objects. Default: the bucket's setting."),
    kmsKeyId: text("the id or ARN of a key", /^\S+$/)
      .optional()
      .describe("The KMS key for serverSideEncryption: aws:kms. Default: the account's own key."),
    objectLock: objectLock
      .optional()
      .describe("Locks each object against changes and deletion. The bucket must have Object Lock enabled."),
    caFile: readableFile()
      .optional()
      .describe("A PEM file of certificate authorities to trust in addition to the public ones."),
  },
  rules: keyRules,
  read: ({
    accessKeyIdFile,
    accessKeyId = accessKeyIdFile,
    secretAccessKeyFile,
    secretAccessKey = secretAccessKeyFile,
    sessionTokenFile,
    sessionToken = sessionTokenFile,
    forcePathStyle,
    ...rest
  }) => ({
    ...rest,
    ...{ accessKeyId, secretAccessKey, sessionToken },
    forcePathStyle: forcePathStyle ?? rest.endpoint !== undefined,
  }),
  place(settings, stream) {
    const parts = [settings["endpoint"] ?? "aws", settings["bucket"], settings["prefix"], stream].map(String);
    return `s3:${parts.filter((part) => part !== "").join("/")}/`;
  },
  // The AWS SDK does not see `.env`.
  complete: ({ region }, lookup) => ({ region: region ?? lookup("AWS_REGION") ?? lookup("AWS_DEFAULT_REGION") }),
  open(settings, stream, env) {
    const prefix = settings.prefix === "" ? stream : `${settings.prefix}/${stream}`;
    const options: S3Options = { ...settings, prefix, env };
    return { store: s3Store(options), remove: s3Remover(options) };
  },
});

function keyRules(keys: Loose): readonly Rule[] {
  const has = (key: string) => keys[key] !== undefined || keys[`${key}File`] !== undefined;
  const [id, secret] = [has("accessKeyId"), has("secretAccessKey")];
  const isKms = keys["serverSideEncryption"] === "aws:kms";
  return [
    ...["accessKeyId", "secretAccessKey", "sessionToken"].flatMap((key) => secretRules(keys, key, "optional")),
    ["secretAccessKey", "required with accessKeyId; set both (or their …File) or neither", id && !secret],
    ["accessKeyId", "required with secretAccessKey; set both (or their …File) or neither", secret && !id],
    [
      "accessKeyId",
      "required with sessionToken; set accessKeyId and secretAccessKey too",
      has("sessionToken") && !id && !secret,
    ],
    ["kmsKeyId", "needs serverSideEncryption: aws:kms", keys["kmsKeyId"] !== undefined && !isKms],
  ];
}
