/** Where the objects of one stream are in a bucket, and how they are stored. */
export interface S3Options {
  readonly bucket: string;
  /** The stream's own prefix: `audit/pachca-acme`, without a slash at its ends. */
  readonly prefix: string;
  /** Default: AWS_REGION or AWS_DEFAULT_REGION, then the profile; with a custom endpoint, `us-east-1`. */
  readonly region?: string | undefined;
  /** The URL of a store other than AWS. */
  readonly endpoint?: string | undefined;
  /** Whether the bucket is in the path of a URL, not in its host. Default: true if there is an endpoint. */
  readonly forcePathStyle?: boolean | undefined;
  /** Called at each request, so that a key rotated in its file is used. Default: AWS's own chain. */
  readonly accessKeyId?: (() => string) | undefined;
  readonly secretAccessKey?: (() => string) | undefined;
  readonly sessionToken?: (() => string) | undefined;
  readonly serverSideEncryption?: "AES256" | "aws:kms" | undefined;
  readonly kmsKeyId?: string | undefined;
  readonly objectLock?: { readonly mode: "COMPLIANCE" | "GOVERNANCE"; readonly retainMs: number } | undefined;
  /** A PEM file of certificate authorities to trust in addition to the public ones. */
  readonly caFile?: string | undefined;
  /** For proxies and regions. AWS's credential chain reads the environment of the process itself. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeouts?: S3Timeouts | undefined;
  /** The current time in milliseconds since 1970; locks end `retainMs` after it. */
  readonly now?: (() => number) | undefined;
}

/** In milliseconds. */
export interface S3Timeouts {
  readonly connectMs: number;
  /** How long no byte may pass in either direction. */
  readonly idleMs: number;
  /** For one whole request, with its body and the body of its answer. */
  readonly requestMs: number;
}

/**
 * Generous, for slow lines and objects of tens of megabytes: a request that is cut off too early must be sent again as a whole.
 * The SDK itself would wait forever.
 */
export const S3_TIMEOUTS: S3Timeouts = { connectMs: 10_000, idleMs: 60_000, requestMs: 600_000 };

/** `audit/pachca-acme/`: what comes before each key. */
export function rootOf({ prefix }: S3Options): string {
  return prefix === "" ? "" : `${prefix}/`;
}

/** `s3://bucket/audit/pachca-acme`, for messages. */
export function placeOf({ bucket, prefix }: S3Options): string {
  return prefix === "" ? `s3://${bucket}` : `s3://${bucket}/${prefix}`;
}
