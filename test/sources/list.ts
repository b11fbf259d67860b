import type { Source } from "../../src/source.ts";
import { SOURCES, type SourceConfig } from "../../src/sources/index.ts";
import { openMining } from "../support/communications-mining.ts";
import { openPachca } from "../support/pachca.ts";
import { openOdd } from "./odd-vendor/odd-vendor.ts";
import type { ApiState } from "./source.contract.ts";

/** How a test opens each source, for its own API. A source without an entry does not compile. */
const OPENERS: Readonly<Record<SourceConfig["type"], (state: ApiState) => Promise<Source>>> = {
  pachca: openPachca,
  "communications-mining": openMining,
};

/** All sources under the contract, and how to open each. */
export const LIST: readonly { readonly type: string; readonly open: (state: ApiState) => Promise<Source> }[] = [
  ...SOURCES.map(({ type }) => ({ type, open: OPENERS[type] })),
  { type: "odd-vendor", open: openOdd },
];
