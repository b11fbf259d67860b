import { z } from "zod";
import { placesOf, placeText } from "../sinks/index.ts";
import type { Loose } from "../sinks/define.ts";
import { complain } from "./values/rules.ts";

/**
 * Each stream has its own name, and no stream writes where another does. Checked even if settings have mistakes of their own, so
 * that all mistakes are shown at once: parts of a stream may have any type.
 */
export function streamsApart() {
  return z.superRefine<{ streams?: unknown; stateDirectory?: unknown }>(
    (config, context) => {
      const streams = (Array.isArray(config.streams) ? config.streams : []).filter(isLoose);
      const places = streams.map((stream) => writtenPlaces(stream, String(config.stateDirectory)));
      streams.forEach((stream, index) => {
        const earlier = streams.slice(0, index);
        const twin = earlier.findIndex((other) => other["name"] === stream["name"]);
        if (twin >= 0 && typeof stream["name"] === "string") {
          const message = `streams[${twin}] has the same name; names must be unique`;
          complain(context, ["streams", index, "name"], message);
        }
        for (const [key, place] of places[index] ?? []) {
          const other = earlier.findIndex(
            ({ name }, at) => name !== stream["name"] && places[at]?.some(([, written]) => overlap(place, written)),
          );
          if (other < 0) continue;
          const message = `writes to the same place as streams[${other}]; give each stream its own`;
          complain(context, ["streams", index, key], message);
        }
      });
    },
    { when: ({ value }) => isLoose(value) },
  );
}

function isLoose(value: unknown): value is Loose {
  return typeof value === "object" && value !== null;
}

/** The places where a stream writes, each with the key that configures it, and with a slash at its end. */
function writtenPlaces({ name, sink, ledger }: Loose, stateDirectory: string): (readonly [string, string])[] {
  if (!isLoose(sink)) return [];
  const stream = { sink, ledger: isLoose(ledger) ? ledger : undefined } as unknown as Parameters<typeof placesOf>[0];
  const places = placesOf(stream, stateDirectory);
  const text = (key: string, settings: Loose) => {
    const place = placeText(settings, String(name));
    return place === undefined ? [] : [[key, place] as const];
  };
  return [...text("sink", sink), ...(places.ledger === places.data ? [] : text("ledger", { ...places.ledger }))];
}

function overlap(one: string, other: string): boolean {
  return one.startsWith(other) || other.startsWith(one);
}
