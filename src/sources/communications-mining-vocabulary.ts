import type { Vocabulary } from "../meaning.ts";

/** What Communications Mining's events mean. */
export const communicationsMiningVocabulary: Vocabulary = {
  product: { vendor: "UiPath", name: "Communications Mining", version: "1.0" },
  kind: (key) => ({ name: key, category: "audit", severity: 3 }),
  describe: (record) => ({ details: record.toString() }),
};
