import type { Reporter, TestModule } from "vitest/node";

/** Ends the run with its result alone on a line, so that any program can count: `N passed, N failed`. */
export default class LastLine implements Reporter {
  readonly #leftOut: string | undefined;

  /** `leftOut`: what this run does not hold, and how to get it; said in one line. */
  constructor({ leftOut }: { readonly leftOut?: string } = {}) {
    this.#leftOut = leftOut;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      // A file that could not be loaded has no tests to fail.
      if (module.errors().length > 0) counts.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state === "pending" ? "skipped" : state]++;
      }
    }
    // When the default reporter has had its say: it writes its summary in the same turn.
    process.once("exit", (code) => {
      // A set-up that failed, for one: no test did, but the run did.
      if (code !== 0 && counts.failed === 0) counts.failed = 1;
      const skipped = counts.skipped === 0 ? "" : `, ${counts.skipped} skipped`;
      if (this.#leftOut !== undefined) process.stdout.write(`${this.#leftOut}\n`);
      process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
    });
  }
}
