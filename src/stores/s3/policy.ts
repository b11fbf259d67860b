import { rootOf, type S3Options } from "./options.ts";

/**
 * The IAM policy with the fewest permissions that the worker needs, as JSON to paste. It allows neither deleting objects
 * nor overwriting locked ones.
 */
export function leastPolicy(options: S3Options): string {
  const { bucket, kmsKeyId, objectLock, region = "", serverSideEncryption } = options;
  const partition = region.startsWith("cn-") ? "aws-cn" : region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
  const arn = `arn:${partition}:s3:::${bucket}`;
  const statements: object[] = [
    {
      Sid: "Objects",
      Effect: "Allow",
      Action: ["s3:PutObject", "s3:GetObject", ...(objectLock === undefined ? [] : ["s3:PutObjectRetention"])],
      Resource: `${arn}/${rootOf(options)}*`,
    },
    {
      Sid: "List",
      Effect: "Allow",
      Action: "s3:ListBucket",
      Resource: arn,
      Condition: { StringLike: { "s3:prefix": `${rootOf(options)}*` } },
    },
  ];
  if (serverSideEncryption === "aws:kms") {
    statements.push({
      Sid: "Key",
      Effect: "Allow",
      Action: ["kms:GenerateDataKey", "kms:Decrypt"],
      // The ARN of a key that is given by its id or alias is not known here.
      Resource: kmsKeyId?.startsWith("arn:") === true ? kmsKeyId : "*",
    });
  }
  return JSON.stringify({ Version: "2012-10-17", Statement: statements }, undefined, 2);
}
