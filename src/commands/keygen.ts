import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { RefusedError } from "../errors.ts";
import { newKeys } from "../ledger/signature.ts";

/** Makes a pair of keys: `<name>.key` signs manifests, `<name>.pub` checks them. Overwrites nothing. */
export async function keygenCommand({ out }: { readonly out: string }): Promise<number> {
  const { keyId, privatePem, publicPem } = newKeys();
  await createFile(`${out}.pub`, publicPem, 0o644);
  await createFile(`${out}.key`, privatePem, 0o600);
  process.stdout.write(
    `${out}.key  the private key: for ledger.signingKeyFile, readable by the worker alone; keep it secret\n` +
      `${out}.pub  the public key: for siem-export verify --public-key; keep a copy where the worker cannot write\n` +
      `key id ${keyId}\n`,
  );
  return 0;
}

async function createFile(path: string, text: string, mode: number): Promise<void> {
  try {
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "failed";
    const hint =
      code === "EEXIST" ? "it exists already, and a key must not be lost: name another with --out" : undefined;
    throw new RefusedError("bad_request", `write ${path}: ${code}`, { hint, cause });
  }
}
