import { EXIT_FOUND, ExporterError, exitCodeOf, worstExitCode } from "../errors.ts";
import type { QuarantineLine } from "../archive/quarantine.ts";
import { splitLines } from "../format.ts";
import { quarantinedItem } from "../archive/quarantine.ts";
import { openArchives, type OpenArchive } from "./archive.ts";
import type { ConfigOptions } from "./streams.ts";
import { gunzipWhole } from "../archive/object-file.ts";

export interface QuarantineOptions extends ConfigOptions {
  readonly stream?: readonly string[];
  readonly json?: boolean;
}

/** Shows the items that could not be exported, with the reasons. Resolves with the exit code. */
export async function quarantineListCommand(options: QuarantineOptions, signal: AbortSignal): Promise<number> {
  const codes: number[] = [];
  for (const open of await openArchives(options, options.stream)) codes.push(await listOne(open, options, signal));
  return worstExitCode(codes);
}

async function listOne(
  { archive }: OpenArchive,
  { json = false }: QuarantineOptions,
  signal: AbortSignal,
): Promise<number> {
  const { stream, quarantine } = archive;
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  let count = 0;
  let code = 0;
  try {
    const keys: string[] = [];
    for await (const { key } of quarantine.list("quarantine/", undefined, signal)) keys.push(key);
    for (const key of keys.sort()) {
      const stored = await quarantine.read(key, signal);
      const text = stored && gunzipWhole(stored);
      if (text === undefined) {
        code = EXIT_FOUND;
        say(json ? JSON.stringify({ stream, key, unreadable: true }) : `✗ ${key}: it cannot be read`);
        continue;
      }
      for (const line of splitLines(text)) {
        count++;
        say(json ? JSON.stringify({ stream, key, ...itemOf(line) }) : textOf(stream, key, itemOf(line)));
      }
    }
  } catch (error) {
    if (signal.aborted || !(error instanceof ExporterError)) throw error;
    say(json ? JSON.stringify({ stream, code: error.code, message: error.message }) : `✗ ${stream}: ${error.message}`);
    return exitCodeOf(error);
  }
  if (!json) say(`${stream}: ${count === 0 ? "nothing" : `${count} item${count === 1 ? "" : "s"}`} in quarantine`);
  return code;
}

type Item = Partial<QuarantineLine> & { readonly reason: string };

function itemOf(line: Buffer): Item {
  if (quarantinedItem(line) === undefined) return { reason: "the line is no item; see siem-export verify" };
  return JSON.parse(line.toString()) as QuarantineLine;
}

/** How much of an item's bytes is shown: enough to know it again. */
const SHOWN_MAX = 100;

function textOf(stream: string, key: string, { reason, window = "", id, time, record, recordBase64 }: Item): string {
  const bytes = record ?? (recordBase64 === undefined ? "" : `base64 ${recordBase64}`);
  const cut = bytes.length > SHOWN_MAX ? `${bytes.slice(0, SHOWN_MAX)}… (${bytes.length} characters)` : bytes;
  const known = [id, time].filter((part) => part !== undefined).join(" ");
  // Control characters of an item must not reach a terminal.
  const safe = JSON.stringify(cut).slice(1, -1).replaceAll('\\"', '"');
  return `${stream} ${window} ${reason}${known === "" ? "" : ` (${known})`}\n    ${key}\n    ${safe}`;
}
