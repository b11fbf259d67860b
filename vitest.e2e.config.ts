import { defineConfig } from "vitest/config";

/** Against real servers, started once for the whole run; see .ci/servers for what they need. */
export default defineConfig({
  test: {
    include: ["test/e2e/**/*.e2e.test.ts"],
    globalSetup: ["./test/support/build.ts", "./test/support/servers.ts"],
    // One file at a time: the servers and the two cores of a small machine are shared.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default", "./test/support/reporter.ts"],
  },
});
