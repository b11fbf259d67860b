/** Where the objects of one stream lie in a bucket, and how they are to be kept there. */
export interface S3Options {
  readonly bucket: string;
  /** The stream's own: `audit/pachca-acme`; no slash at its ends. */
  readonly prefix: string;
  /** Without it AWS_REGION or AWS_DEFAULT_REGION, then the profile; for a custom endpoint `us-east-1`. */
  readonly region?: string | undefined;
  /** The URL of a store that is not AWS. */
  readonly endpoint?: string | undefined;
  /** Whether the bucket stands in a URL's path, not its host. Without it: true where there is an endpoint. */
  readonly forcePathStyle?: boolean | undefined;
  /**
   * Asked for at each request, so that a key that was rotated in its file is taken up. Without them: AWS's own chain.
   */
  readonly accessKeyId?: (() => string) | undefined;
  readonly secretAccessKey?: (() => string) | undefined;
  readonly sessionToken?: (() => string) | undefined;
  readonly serverSideEncryption?: "AES256" | "aws:kms" | undefined;
  readonly kmsKeyId?: string | undefined;
  readonly objectLock?: { readonly mode: "COMPLIANCE" | "GOVERNANCE"; readonly retainMs: number } | undefined;
  /** A PEM file of certificate authorities to trust besides the system's. */
  readonly caFile?: string | undefined;
  /** For proxies and regions. AWS's credential chain reads the environment of the process itself. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeouts?: S3Timeouts | undefined;
  /** The clock that a lock's end is counted from. */
  readonly now?: (() => number) | undefined;
}

/** In milliseconds. */
export interface S3Timeouts {
  readonly connectMs: number;
  /** Without a byte either way. */
  readonly idleMs: number;
  /** For one request in all, its body and that of its answer included. */
  readonly requestMs: number;
}

/**
 * Generous, for a slow line and objects of tens of megabytes: a request that is cut off too early has to be sent again
 * as a whole. The SDK itself would wait for ever.
 */
export const S3_TIMEOUTS: S3Timeouts = { connectMs: 10_000, idleMs: 60_000, requestMs: 600_000 };

/** `audit/pachca-acme/`: what comes before a key. */
export function rootOf({ prefix }: S3Options): string {
  return prefix === "" ? "" : `${prefix}/`;
}

/** `s3://bucket/audit/pachca-acme`, for people. */
export function placeOf({ bucket, prefix }: S3Options): string {
  return prefix === "" ? `s3://${bucket}` : `s3://${bucket}/${prefix}`;
}
