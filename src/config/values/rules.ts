import { resolve } from "node:path";
import { z } from "zod";

/** What must hold between keys: where to complain, what to say, and whether it is broken. Never says a value. */
export type Rule = readonly [key: string, complaint: string, broken: boolean];

/**
 * A check of rules between the keys of one mapping. It runs even where single keys have mistakes of their own, so that all
 * are shown at once: `find` may be given values of any type.
 */
export function rules<Value>(find: (value: Value) => readonly Rule[]) {
  return z.superRefine<Value>(
    (value, context) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return;
      for (const [key, complaint, broken] of find(value)) if (broken) complain(context, [key], complaint);
    },
    { when: () => true },
  );
}

function complain(context: z.RefinementCtx, path: PropertyKey[], message: string): void {
  context.addIssue({ code: "custom", path, message, params: { rule: true } });
}

/** A stream as far as its places go; with mistakes in it, each part may be anything. */
type Loose = Readonly<Record<string, unknown>>;

/** Each stream has its own name, and nothing that one writes lies where another writes. */
export function streamsApart() {
  return z.superRefine<{ streams?: unknown; stateDirectory?: unknown }>(
    (config, context) => {
      const streams = (Array.isArray(config.streams) ? config.streams : []).filter(isLoose);
      streams.forEach((stream, index) => {
        const twin = streams.findIndex((other) => other["name"] === stream["name"]);
        if (twin < index && typeof stream["name"] === "string") {
          complain(
            context,
            ["streams", index, "name"],
            `the name of streams[${twin}] too; a name belongs to one stream`,
          );
        }
        for (const [key, place] of placesOf(stream, config.stateDirectory)) {
          const other = streams
            .slice(0, index)
            .findIndex((before) => before["name"] !== stream["name"] && meets(before, place, config.stateDirectory));
          if (other >= 0)
            complain(
              context,
              ["streams", index, key],
              `writes where streams[${other}] writes; give it a place of its own`,
            );
        }
      });
    },
    { when: ({ value }) => isLoose(value) },
  );
}

function isLoose(value: unknown): value is Loose {
  return typeof value === "object" && value !== null;
}

/** Where a stream writes, by the key that says so, each with a slash at its end. */
function placesOf(stream: Loose, stateDirectory: unknown): readonly (readonly [key: string, place: string])[] {
  const name = String(stream["name"]);
  const place = (to: unknown) => (isLoose(to) ? placeOf(to, name) : undefined);
  const sink = place(stream["sink"]);
  const ledger =
    place(stream["ledger"]) ??
    (keepsNothing(stream["sink"]) ? placeOf({ type: "file", directory: stateDirectory }, name) : undefined);
  return [
    ...(sink === undefined ? [] : [["sink", sink] as const]),
    ...(ledger === undefined ? [] : [["ledger", ledger] as const]),
  ];
}

/** Sinks without objects, which hold no ledger either. */
function keepsNothing(sink: unknown): boolean {
  return isLoose(sink) && (sink["type"] === "stdout" || sink["type"] === "syslog");
}

function placeOf(to: Loose, name: string): string | undefined {
  switch (to["type"]) {
    case "s3": {
      const parts = [to["endpoint"] ?? "aws", to["bucket"], to["prefix"], name].map(String);
      return `s3:${parts.filter((part) => part !== "").join("/")}/`;
    }
    case "file":
      return `file:${resolve(String(to["directory"]), name)}/`;
    case "stdout":
      return "stdout:/";
    default:
      return undefined;
  }
}

/** Whether a stream writes at, above or below `place`. */
function meets(stream: Loose, place: string, stateDirectory: unknown): boolean {
  return placesOf(stream, stateDirectory).some(([, other]) => place.startsWith(other) || other.startsWith(place));
}
