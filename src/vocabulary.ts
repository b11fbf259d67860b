/* What events mean, in no vendor's words: what CEF, LEEF and syslog's severity are made from. */

/** Who made the log, as CEF and LEEF name it. */
export interface Product {
  readonly vendor: string;
  readonly name: string;
  /** Of our reading of the log, not of the vendor's program. */
  readonly version: string;
}

/** What all events of one key have in common. Keys not known to us have one too, made from the key. */
export interface Kind {
  /** For people: "Failed second factor". */
  readonly name: string;
  /** Such as `authentication`; a few words of lower case, never translated. */
  readonly category: string;
  /** 0 to 10, as CEF counts it: to 3 low, to 6 medium, to 8 high, then very high. */
  readonly severity: number;
  readonly outcome?: "success" | "failure" | undefined;
}

/** Somebody or something that an event names. */
export interface Party {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly type?: string | undefined;
}

/** What one event says. What a record does not have is undefined. */
export interface Meaning {
  readonly actor?: Party | undefined;
  readonly target?: Party | undefined;
  /** IPv4 or IPv6, as the source writes it; not checked. */
  readonly address?: string | undefined;
  readonly userAgent?: string | undefined;
  /** All of the record that no other member here, nor the event's id, time and key, holds: compact JSON of an object. */
  readonly details?: string | undefined;
}

/** How to read one source's events. */
export interface Vocabulary {
  readonly product: Product;
  /** What an event of this key is; of a record that says itself how it ended or how severe it is, as the record says. */
  kind(key: string, record?: Buffer): Kind;
  /** Of a record that the source gave as an event's. Never throws: what is not as expected is left to `details`. */
  describe(record: Buffer): Meaning;
}

/** A name for a key that no list has: `get_datasets` is "Get datasets". */
export function nameOfKey(key: string): string {
  const words = key.replaceAll(/[\s_.:/-]+/g, " ").trim();
  return words === "" ? "Unknown event" : words.charAt(0).toUpperCase() + words.slice(1);
}

/** A party that has anything at all. */
export function partyOf(party: Party): Party | undefined {
  return (party.id ?? party.name ?? party.type) === undefined ? undefined : party;
}

/** The same words, with other severities for some keys. */
export function withSeverities(vocabulary: Vocabulary, severities: Readonly<Record<string, number>>): Vocabulary {
  return {
    ...vocabulary,
    kind(key, record) {
      const kind = vocabulary.kind(key, record);
      return Object.hasOwn(severities, key) ? { ...kind, severity: severities[key] ?? kind.severity } : kind;
    },
  };
}
