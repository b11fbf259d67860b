/* The meaning of events, independent of the vendor. CEF, LEEF and syslog's severity use it. */

/** The product that wrote the log, for CEF and LEEF. */
export interface Product {
  readonly vendor: string;
  readonly name: string;
  /** The version of our vocabulary, not of the vendor's product. */
  readonly version: string;
}

/** What all events with one key have in common. Unknown keys have one too, derived from the key. */
export interface Kind {
  /** For people, such as "User logged in". */
  readonly name: string;
  /** Such as `authentication`. A few lower-case words, never translated. */
  readonly category: string;
  /** The severity of CEF: 0 to 3 low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high. */
  readonly severity: number;
  readonly outcome?: "success" | "failure" | undefined;
}

/** A person or thing in an event. */
export interface Party {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly type?: string | undefined;
}

/** The content of one event. Members that a record does not have are undefined. */
export interface Meaning {
  readonly actor?: Party | undefined;
  readonly target?: Party | undefined;
  /** IPv4 or IPv6, as the source writes it; not checked. */
  readonly address?: string | undefined;
  readonly userAgent?: string | undefined;
  /** The rest of the record, without the members above and the event's id, time and key: a compact JSON object. */
  readonly details?: string | undefined;
}

/** How to interpret one source's events. */
export interface Vocabulary {
  readonly product: Product;
  /** The kind of an event with this key. An outcome or severity in `record` takes precedence. */
  kind(key: string, record?: Buffer): Kind;
  /** Reads a record of an event. Never throws: unexpected members are in `details`. */
  describe(record: Buffer): Meaning;
}

/** A name for an unknown key: "Get datasets" for `get_datasets`. */
export function nameOfKey(key: string): string {
  const words = key.replaceAll(/[\s_.:/-]+/g, " ").trim();
  return words === "" ? "Unknown event" : words.charAt(0).toUpperCase() + words.slice(1);
}

/** The party, or undefined if all its members are undefined. */
export function partyOf(party: Party): Party | undefined {
  return (party.id ?? party.name ?? party.type) === undefined ? undefined : party;
}

/** The same vocabulary, with other severities for some keys. */
export function withSeverities(vocabulary: Vocabulary, severities: Readonly<Record<string, number>>): Vocabulary {
  return {
    ...vocabulary,
    kind(key, record) {
      const kind = vocabulary.kind(key, record);
      return Object.hasOwn(severities, key) ? { ...kind, severity: severities[key] ?? kind.severity } : kind;
    },
  };
}
