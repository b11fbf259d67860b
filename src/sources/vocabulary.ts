import { cutRecord, detailsOf, textAt } from "../json/members.ts";
import type { EventMembers } from "../source.ts";
import { partyOf, type Kind, type Party, type Product, type Vocabulary } from "../vocabulary.ts";

/** Where an event says something: a dotted path, or what reads it. */
type Place = string | ((record: Buffer) => string | undefined);

type PartyPlaces = { readonly [Name in keyof Party]?: Place };

/** What a source's events mean. */
export interface Meanings {
  readonly product: Product;
  /** What all events of one key have in common. */
  readonly kind: (key: string) => Kind;
  /** Where an event says itself how it ended, and the texts that say success or failure. */
  readonly outcome?: { readonly at: string; readonly success: readonly string[]; readonly failure: readonly string[] };
  /** Where an event says itself how severe it is, and each text's number from 0 to 10. */
  readonly severity?: { readonly at: string; readonly of: Readonly<Record<string, number>> };
  readonly actor?: PartyPlaces;
  readonly target?: PartyPlaces;
  readonly address?: Place;
  readonly userAgent?: Place;
  /** Members that say nothing when they are `{}`: details leave them out then. */
  readonly oftenEmpty?: readonly string[];
}

/** Reads events by their meanings; `members` are those that an event holds itself. */
export function vocabularyOf(meanings: Meanings, members: EventMembers): Vocabulary {
  const { actor = {}, target = {}, address, userAgent, outcome, severity, oftenEmpty = [] } = meanings;
  const idsAndTimes = [members.id, members.time].map((list) => list.map(({ path }) => path));
  // Of several the event holds only one, and a nested member has neighbours: these stay in the details.
  const own = [...idsAndTimes, members.kind].filter(({ length }) => length === 1).flat();
  const said: (Place | undefined)[] = [...Object.values(actor), ...Object.values(target), address, userAgent];
  const names = new Set(
    [...own, ...said].filter((place) => typeof place === "string").filter((path) => !path.includes(".")),
  );
  // Where an event's id is an integer, so are those of its parties.
  const hasIntegers = members.id.some(({ format }) => format === "integer");
  const nothing = new Set(oftenEmpty.map((name) => `${JSON.stringify(name)}:{}`));

  return {
    product: meanings.product,

    kind(key, record) {
      const kind = meanings.kind(key);
      if (record === undefined || (outcome === undefined && severity === undefined)) return kind;
      const ended = outcome && textAt(record, outcome.at);
      const level = severity && textAt(record, severity.at);
      return {
        ...kind,
        ...(ended !== undefined && outcome?.success.includes(ended) === true && { outcome: "success" as const }),
        ...(ended !== undefined && outcome?.failure.includes(ended) === true && { outcome: "failure" as const }),
        severity: (level === undefined ? undefined : severity?.of[level]) ?? kind.severity,
      };
    },

    describe(record) {
      const { text, rest } = cutRecord(record, names, hasIntegers);
      const at = (place: Place | undefined): string | undefined => {
        if (typeof place !== "string") return place?.(record);
        return place.includes(".") ? textAt(record, place) : text(place);
      };
      const party = ({ id, name, type }: PartyPlaces) => partyOf({ id: at(id), name: at(name), type: at(type) });
      return {
        actor: party(actor),
        target: party(target),
        address: at(address),
        userAgent: at(userAgent),
        details: detailsOf(rest.filter((member) => !nothing.has(member.text))),
      };
    },
  };
}
