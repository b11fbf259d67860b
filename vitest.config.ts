import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**"],
    globalSetup: ["./test/support/build.ts"],
    // Many tests wait, for a program or for a retry: three files at once fit on two cores.
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: [
      "default",
      [
        "./test/support/reporter.ts",
        {
          leftOut:
            "Left out: the tests against real servers (Ceph, Swift, rsyslog, syslog-ng, Prometheus) and a real browser. To run them: .ci/servers && npm run e2e",
        },
      ],
    ],
  },
});
