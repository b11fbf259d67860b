import { z } from "zod";

/** A rule between keys: the key to report, the message, and whether the rule is broken. Messages never contain values. */
export type Rule = readonly [key: string, complaint: string, broken: boolean];

/**
 * Checks rules between the keys of one mapping. It runs even if keys have mistakes of their own, so that all mistakes are shown
 * at once: `find` may get values of any type.
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
