import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { loadConfig, type Config, type SecretsAre } from "../../src/config/config.ts";
import { ConfigError } from "../../src/errors.ts";

/** A folder that is deleted at the end of the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "siem-export-config-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

export function loadText(text: string | Buffer, env: NodeJS.ProcessEnv = {}, secrets?: SecretsAre): Promise<Config> {
  const path = join(temporaryFolder(), "exporter.yaml");
  writeFileSync(path, text);
  return loadConfig(path, env, secrets);
}

/** The mistakes of a configuration: the lines of the message, with `exporter.yaml` as the name of the file. */
export async function messageOf(text: string | Buffer, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const error = await errorOf(loadText(text, env));
  return error.message.replaceAll(/[^\s]*siem-export-config-[^/\s]*\//g, "").split("\n");
}

export async function errorOf(loading: Promise<unknown>): Promise<ConfigError> {
  const error: unknown = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ConfigError) return error;
  throw new Error("the configuration was expected to be refused", { cause: error });
}

/** A stream with the required settings only. Its lines can be replaced. */
export function oneStream(changes: Readonly<Record<string, string>> = {}, rest = ""): string {
  const keys = {
    name: "name: acme",
    schedule: "",
    source: "source: { type: pachca, token: t0ken }",
    windows: "windows: { start: 2026-11-01T00:00:00Z }",
    batch: "",
    sink: "sink: { type: stdout }",
    ledger: "",
    ...changes,
  };
  const lines = Object.values(keys).filter((line) => line !== "");
  return `streams:\n  - ${lines.join("\n    ")}\n${rest}`;
}
