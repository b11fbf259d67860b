import { readableFile } from "../config/values/values.ts";

/** The key that every place of a ledger accepts. */
export const signing = {
  signingKeyFile: readableFile()
    .optional()
    .describe("A PEM file with the Ed25519 private key that signs the manifests. `siem-export keygen` makes one."),
};

export interface Signing {
  readonly signingKeyFile?: string | undefined;
}
