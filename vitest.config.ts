import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**"],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: ["default", "./test/support/reporter.ts"],
  },
});
