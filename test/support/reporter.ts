import type { Reporter, TestModule } from "vitest/node";

/** Ends the run with its result alone on a line, for programs to read: `N passed, N failed`. */
export default class LastLine implements Reporter {
  readonly #notRun: string | undefined;

  /** `notRun`: one line that names the tests outside of this run and the command for them. */
  constructor({ notRun }: { readonly notRun?: string } = {}) {
    this.#notRun = notRun;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      // A file that does not load has no test that could fail.
      if (module.errors().length > 0) counts.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state === "pending" ? "skipped" : state]++;
      }
    }
    // At the exit, because the default reporter writes its summary after this call.
    process.once("exit", (code) => {
      // The run failed without a failed test, for example in a set-up.
      if (code !== 0 && counts.failed === 0) counts.failed = 1;
      const skipped = counts.skipped === 0 ? "" : `, ${counts.skipped} skipped`;
      if (this.#notRun !== undefined) process.stdout.write(`${this.#notRun}\n`);
      process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
    });
  }
}
