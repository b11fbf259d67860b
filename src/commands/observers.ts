import type { Stream } from "../assemble.ts";
import type { StatusDocument } from "../status/status-document.ts";
import type { Observe } from "../fact.ts";
import { metrics } from "../observe/metrics.ts";
import { assets, renderPage } from "../server/page/page.ts";
import { nextRing } from "../worker/schedule.ts";
import type { Telling } from "../server/server.ts";
import { after, starting } from "../status/status.ts";
import { epochMs } from "../time.ts";
import { EXPORTER } from "../version.ts";
import { describe } from "./describe.ts";
import { statusAt } from "../status/status-at.ts";

/** Status, metrics and page of a worker: all three go by the facts that `observe` is told. */
export function tellingOf(streams: readonly Pick<Stream, "config" | "pipeline">[]): Telling & { observe: Observe } {
  let status = starting(EXPORTER.version, streams.map(describe));
  const document = (asked?: string): StatusDocument => statusAt(status, epochMs(Date.now()), nextRing, asked);
  const counted = metrics(
    streams.map(({ config: { name } }) => name),
    EXPORTER.version,
    () => document(),
  );
  return {
    observe(fact) {
      counted.observe(fact);
      status = after(status, fact, epochMs(Date.now()));
    },
    document: () => document(),
    metrics: counted,
    // A stream that is asked for is told in full: not as all are, who share.
    page: { render: (all, asked) => renderPage(asked === undefined ? all : document(asked), asked), assets },
  };
}
