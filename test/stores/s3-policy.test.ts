import { expect, test } from "vitest";
import { leastPolicy } from "../../src/stores/s3/policy.ts";

const options = { bucket: "acme-siem", prefix: "audit/pachca-acme", env: {} };

interface Policy {
  readonly Statement: readonly {
    readonly Action: string | string[];
    readonly Resource: string;
    readonly Condition?: unknown;
  }[];
}
const policyOf = (more: object) => JSON.parse(leastPolicy({ ...options, ...more })) as Policy;

test("the policy allows writing and reading below the prefix, and listing it", () => {
  expect(policyOf({})).toEqual({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "Objects",
        Effect: "Allow",
        Action: ["s3:PutObject", "s3:GetObject"],
        Resource: "arn:aws:s3:::acme-siem/audit/pachca-acme/*",
      },
      {
        Sid: "List",
        Effect: "Allow",
        Action: "s3:ListBucket",
        Resource: "arn:aws:s3:::acme-siem",
        Condition: { StringLike: { "s3:prefix": "audit/pachca-acme/*" } },
      },
    ],
  });
});

test("Object Lock and KMS keys need further permissions", () => {
  const kmsKeyId = "arn:aws:kms:eu-central-1:1:key/x";
  const { Statement } = policyOf({
    serverSideEncryption: "aws:kms",
    kmsKeyId,
    objectLock: { mode: "COMPLIANCE", retainMs: 1000 },
  });
  expect(Statement[0]?.Action).toContain("s3:PutObjectRetention");
  expect(Statement[2]).toMatchObject({ Action: ["kms:GenerateDataKey", "kms:Decrypt"], Resource: kmsKeyId });
});

test("other AWS partitions have their own ARNs, and without a prefix the policy covers the whole bucket", () => {
  const { Statement } = policyOf({ region: "cn-north-1", prefix: "" });
  expect(Statement[0]?.Resource).toBe("arn:aws-cn:s3:::acme-siem/*");
});
