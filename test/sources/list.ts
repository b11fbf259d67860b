import type { Source } from "../../src/source.ts";
import { SOURCES, type SourceConfig } from "../../src/sources/index.ts";
import { openMining } from "../support/communications-mining.ts";
import { openPachca } from "../support/pachca.ts";
import { openOdd } from "./odd-vendor/odd-vendor.ts";
import type { ApiState } from "./source.contract.ts";

/** A source that a test opens in front of an API of that test. A source without one does not compile. */
const OPENERS: Readonly<Record<SourceConfig["type"], (state: ApiState) => Promise<Source>>> = {
  pachca: openPachca,
  "communications-mining": openMining,
};

/** All sources that keep the contract, and how to open each. */
export const LIST: readonly { readonly type: string; readonly open: (state: ApiState) => Promise<Source> }[] = [
  ...SOURCES.map(({ type }) => ({ type, open: OPENERS[type] })),
  { type: "odd-vendor", open: openOdd },
];
