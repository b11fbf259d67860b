import type { TestProject } from "vitest/node";
import { prometheusInstalled } from "./prometheus.ts";
import { rgwInstalled, startRgw, type S3Server } from "./rgw.ts";
import { rsyslogInstalled } from "./rsyslog.ts";
import { startSwift, swiftInstalled } from "./swift.ts";
import { syslogNgInstalled } from "./syslog-ng.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Ceph's S3 gateway; undefined where it is not installed. */
    rgw: S3Server | undefined;
    /** OpenStack Swift's S3 interface; undefined where it is not installed. */
    swift: S3Server | undefined;
  }
}

/**
 * Starts, once for the whole run, the real servers that are installed, and says in one line which are not. With
 * REQUIRE_SERVERS=1 a missing one is a failure.
 */
export default async function servers(project: TestProject): Promise<() => Promise<void>> {
  const missing = [
    ...(rgwInstalled() ? [] : ["Ceph's S3 gateway"]),
    ...(swiftInstalled() ? [] : ["Swift without conditional writes"]),
    // These are quick to start, and each file of tests starts its own.
    ...(rsyslogInstalled() ? [] : ["rsyslog"]),
    ...(syslogNgInstalled() ? [] : ["syslog-ng"]),
    ...(prometheusInstalled() ? [] : ["Prometheus"]),
  ];
  const line = `left out: ${missing.join(" and ")}, not installed here; .ci/servers installs what the tests need`;
  if (missing.length > 0 && process.env["REQUIRE_SERVERS"] === "1") throw new Error(line);

  const stops: (() => Promise<void>)[] = [];
  const stopAll = async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
  const started = await Promise.allSettled([
    (async () => {
      if (!rgwInstalled()) return;
      const { server, stop } = await startRgw();
      stops.push(stop);
      project.provide("rgw", server);
    })(),
    (async () => {
      if (!swiftInstalled()) return;
      const { server, stop } = await startSwift();
      stops.push(stop);
      project.provide("swift", server);
    })(),
  ]);
  const failed = started.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await stopAll();
    throw failed.reason;
  }
  return async () => {
    await stopAll();
    if (missing.length > 0) console.log(line);
  };
}
