import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newKeys } from "../../src/ledger/signature.ts";

const folder = mkdtempSync(join(tmpdir(), "siem-export-keys-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
let made = 0;

/** A new key pair in files, as `keygen` creates it. */
export function signingKeys(): { readonly privatePath: string; readonly publicPath: string } {
  const { privatePem, publicPem } = newKeys();
  const name = join(folder, `signing-${++made}`);
  writeFileSync(`${name}.key`, privatePem, { mode: 0o600 });
  writeFileSync(`${name}.pub`, publicPem);
  return { privatePath: `${name}.key`, publicPath: `${name}.pub` };
}
