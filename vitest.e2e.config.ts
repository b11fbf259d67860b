import { defineConfig } from "vitest/config";

/** Against real servers, started once for the whole run; see .ci/servers for what they need. */
export default defineConfig({
  test: {
    include: ["test/e2e/**/*.e2e.test.ts"],
    globalSetup: ["./test/support/build.ts", "./test/support/servers.ts"],
    // Mostly they wait, for a ring of the schedule or a time limit: three files at once fit on two cores.
    maxWorkers: 3,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default", "./test/support/reporter.ts"],
  },
});
