import { s3Call } from "./client.ts";
import { rootOf, type S3Options } from "./options.ts";
import type { Remover } from "../../store.ts";

/**
 * Removes objects below a prefix. It is separate from the store, so that the store cannot delete. It needs s3:DeleteObject.
 * In a bucket with versioning, older versions stay.
 */
export function s3Remover(options: S3Options): Remover {
  const call = s3Call(options);
  return (key, signal) => {
    const Key = rootOf(options) + key;
    const request = { operation: "DELETE", url: `s3://${options.bucket}/${Key}` } as const;
    return call(request, signal, async ({ sdk, client, signal: limit }) => {
      await client.send(new sdk.DeleteObjectCommand({ Bucket: options.bucket, Key }), { abortSignal: limit });
    });
  };
}
