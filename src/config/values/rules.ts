import { z } from "zod";

/** What must hold between keys: where to complain, what to say, and whether it is broken. Never says a value. */
export type Rule = readonly [key: string, complaint: string, broken: boolean];

/**
 * A check of rules between the keys of one mapping. It runs even where single keys have mistakes of their own, so that all
 * are shown at once: `find` may be given values of any type.
 */
export function rules<Value>(find: (value: Value) => readonly Rule[]) {
  return z.superRefine<Value>(
    (value, context) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return;
      for (const [key, complaint, broken] of find(value)) if (broken) complain(context, [key], complaint);
    },
    { when: () => true },
  );
}

/** Reports a mistake of a rule: its message is shown as it is. */
export function complain(context: z.RefinementCtx, path: PropertyKey[], message: string): void {
  context.addIssue({ code: "custom", path, message, params: { rule: true } });
}
