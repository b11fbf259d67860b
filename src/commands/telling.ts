import type { Stream } from "../assemble.ts";
import type { StatusDocument } from "../document.ts";
import type { Observe } from "../fact.ts";
import { metrics } from "../metrics.ts";
import { assets, renderPage } from "../page/page.ts";
import { nextRing } from "../schedule.ts";
import type { Telling } from "../server.ts";
import { after, starting, statusAt } from "../status.ts";
import { epochMs } from "../time.ts";
import { EXPORTER } from "../version.ts";
import { describe } from "./describe.ts";

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
