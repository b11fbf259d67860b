import { EXIT_FOUND, ExporterError, exitCodeOf, worstExitCode } from "../errors.ts";
import type { QuarantineLine } from "../archive/quarantine.ts";
import { splitLines } from "../format.ts";
import type { OpenArchive } from "./archive.ts";
import { command, CONFIG, STREAMS, toggle, type OptionsOf } from "./command.ts";

const flags = { config: CONFIG, stream: STREAMS, json: toggle("a line of JSON for each item") };

export const quarantineList = command({
  name: "list",
  about: "shows the items that could not be exported, with the reasons",
  flags,
  run: listItems,
});

async function listItems({ config, stream, json }: OptionsOf<typeof flags>, signal: AbortSignal): Promise<number> {
  const { openArchives } = await import("./archive.ts");
  const codes: number[] = [];
  for (const open of await openArchives(config, stream)) codes.push(await listOne(open, json, signal));
  return worstExitCode(codes);
}

async function listOne({ archive }: OpenArchive, json: boolean, signal: AbortSignal): Promise<number> {
  const { gunzipWhole } = await import("../archive/object-file.ts");
  const { quarantinedItem } = await import("../archive/quarantine.ts");
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
        const item: Item =
          quarantinedItem(line) === undefined
            ? { reason: "the line is not a quarantined item; see siem-export verify" }
            : (JSON.parse(line.toString()) as QuarantineLine);
        say(json ? JSON.stringify({ stream, key, ...item }) : textOf(stream, key, item));
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

/** How many characters of an item are shown: enough to recognise it. */
const SHOWN_MAX = 100;

function textOf(stream: string, key: string, { reason, window = "", id, time, record, recordBase64 }: Item): string {
  const bytes = record ?? (recordBase64 === undefined ? "" : `base64 ${recordBase64}`);
  const cut = bytes.length > SHOWN_MAX ? `${bytes.slice(0, SHOWN_MAX)}… (${bytes.length} characters)` : bytes;
  const known = [id, time].filter((part) => part !== undefined).join(" ");
  // An item's control characters must not reach the terminal.
  const safe = JSON.stringify(cut).slice(1, -1).replaceAll('\\"', '"');
  return `${stream} ${window} ${reason}${known === "" ? "" : ` (${known})`}\n    ${key}\n    ${safe}`;
}
