import { defineConfig } from "vitest/config";

/** Run the built program, wait for seconds, or try so many cases that they take seconds. */
const SLOW = [
  "test/program/**/*.test.ts",
  "test/simulator/**/*.test.ts",
  "test/export/export.{fault,race}.test.ts",
  "test/export/read-ahead.bounds.test.ts",
  "test/http/budget.test.ts",
  "test/ledger/ids.test.ts",
  "test/notify/notify.test.ts",
  "test/sinks/syslog/{relp,stream}.test.ts",
  "test/sources/communications-mining/windows.test.ts",
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "quick",
          include: ["test/**/*.test.ts"],
          exclude: [...SLOW, "test/e2e/**"],
          // Files of one process share the modules they import: loading them again for each file took a third of the time.
          isolate: false,
          // Some tests wait for a timer or a server: three files at once keep two cores busy.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "program",
          include: SLOW,
          globalSetup: ["./test/support/build.ts"],
          // Most tests wait for the program: three files at once keep two cores busy.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
    reporters: [
      "default",
      [
        "./test/support/reporter.ts",
        {
          notRun:
            "Not run: end-to-end tests against real servers (Ceph, Swift, rsyslog, syslog-ng, Prometheus) and a real browser. To run them: .ci/servers && npm run e2e",
        },
      ],
    ],
  },
});
