import { defineConfig } from "vitest/config";

/** Tests against real servers, which start once for the whole run. `.ci/servers` installs them. */
export default defineConfig({
  test: {
    include: ["test/e2e/**/*.e2e.test.ts"],
    globalSetup: ["./test/support/build.ts", "./test/support/servers.ts"],
    // Most tests wait, for a schedule or a time limit: three files at once keep two cores busy.
    maxWorkers: 3,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default", "./test/support/reporter.ts"],
  },
});
