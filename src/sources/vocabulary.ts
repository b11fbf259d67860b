import { cutRecord, detailsOf, textAt } from "../json/members.ts";
import type { EventMembers } from "../source.ts";
import { partyOf, type Kind, type Party, type Product, type Vocabulary } from "../vocabulary.ts";

/** Where a record has a value: a dotted path, or a function that reads it. */
type Place = string | ((record: Buffer) => string | undefined);

type PartyPlaces = { readonly [Name in keyof Party]?: Place };

/** What a source's events mean. */
export interface Meanings {
  readonly product: Product;
  /** What all events of one key have in common. */
  readonly kind: (key: string) => Kind;
  /** The path of the outcome, where records have one, and the texts for success and failure. */
  readonly outcome?: { readonly at: string; readonly success: readonly string[]; readonly failure: readonly string[] };
  /** The path of the severity, where records have one, and the number from 0 to 10 for each text. */
  readonly severity?: { readonly at: string; readonly of: Readonly<Record<string, number>> };
  readonly actor?: PartyPlaces;
  readonly target?: PartyPlaces;
  readonly address?: Place;
  readonly userAgent?: Place;
  /** Members that are often `{}`. Details then do not include them. */
  readonly oftenEmpty?: readonly string[];
}

/** Reads events by these meanings. `members` are the paths of an event's id, time and kind. */
export function vocabularyOf(meanings: Meanings, members: EventMembers): Vocabulary {
  const { actor = {}, target = {}, address, userAgent, outcome, severity, oftenEmpty = [] } = meanings;
  const idsAndTimes = [members.id, members.time].map((list) => list.map(({ path }) => path));
  // Details keep a member that is one of several alternatives, because the event holds only one of them, and a nested one.
  const own = [...idsAndTimes, members.kind].filter(({ length }) => length === 1).flat();
  const said: (Place | undefined)[] = [...Object.values(actor), ...Object.values(target), address, userAgent];
  const names = new Set(
    [...own, ...said].filter((place) => typeof place === "string").filter((path) => !path.includes(".")),
  );
  // Where events have integer ids, their parties have too.
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
