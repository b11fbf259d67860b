import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { RefusedError } from "../errors.ts";
import { newKeys } from "../ledger/signature.ts";
import { command, text, withDefault, type OptionsOf } from "./command.ts";

const flags = { out: withDefault(text("name", "the files are <name>.key and <name>.pub", { short: "o" }), "signing") };

export const keygen = command({
  name: "keygen",
  about:
    "creates a key pair: the private key signs manifests (ledger.signingKeyFile), the public key is for verify --public-key",
  flags,
  run: createKeys,
});

/** Creates `<name>.key`, which signs manifests, and `<name>.pub`, which checks them. Overwrites nothing. */
async function createKeys({ out }: OptionsOf<typeof flags>): Promise<number> {
  const { keyId, privatePem, publicPem } = newKeys();
  await createFile(`${out}.pub`, publicPem, 0o644);
  await createFile(`${out}.key`, privatePem, 0o600);
  process.stdout.write(
    `${out}.key  the private key: for ledger.signingKeyFile; only the worker may read it; keep it secret\n` +
      `${out}.pub  the public key: for siem-export verify --public-key; keep a copy where the worker cannot change it\n` +
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
      code === "EEXIST"
        ? "the file exists and is not overwritten, so that no key is lost: choose another name with --out"
        : undefined;
    throw new RefusedError("bad_request", `write ${path}: ${code}`, { hint, cause });
  }
}
