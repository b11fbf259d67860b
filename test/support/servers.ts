import type { TestProject } from "vitest/node";
import { prometheusInstalled } from "./prometheus.ts";
import { rgwInstalled, startRgw, type S3Server } from "./rgw.ts";
import { rsyslogInstalled } from "./rsyslog.ts";
import { startSwift, swiftInstalled } from "./swift.ts";
import { syslogNgInstalled } from "./syslog-ng.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Ceph's S3 gateway, or undefined when it is not installed. */
    rgw: S3Server | undefined;
    /** OpenStack Swift's S3 interface, or undefined when it is not installed. */
    swift: S3Server | undefined;
  }
}

/**
 * Starts the installed servers once for the whole run, and prints one line that names the missing ones. With
 * REQUIRE_SERVERS=1 a missing server is a failure.
 */
export default async function servers(project: TestProject): Promise<() => Promise<void>> {
  const missing = [
    ...(rgwInstalled() ? [] : ["Ceph's S3 gateway"]),
    ...(swiftInstalled() ? [] : ["Swift without conditional writes"]),
    // These start quickly: each test file starts its own.
    ...(rsyslogInstalled() ? [] : ["rsyslog"]),
    ...(syslogNgInstalled() ? [] : ["syslog-ng"]),
    ...(prometheusInstalled() ? [] : ["Prometheus"]),
  ];
  const line = `Not run: tests against ${missing.join(", ")} (not installed). To install the servers: .ci/servers`;
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
