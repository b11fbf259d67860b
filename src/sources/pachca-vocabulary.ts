import type { Vocabulary } from "../meaning.ts";

/** What Pachca's events mean. */
export const pachcaVocabulary: Vocabulary = {
  product: { vendor: "Pachca", name: "Audit", version: "1.0" },
  kind: (key) => ({ name: key, category: "audit", severity: 3 }),
  describe: (record) => ({ details: record.toString() }),
};
