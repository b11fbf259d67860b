import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "coverage", "node_modules"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      // A function may be asynchronous because of its interface, and have nothing to await.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    },
  },
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        Buffer: "readonly",
        URL: "readonly",
        fetch: "readonly",
        performance: "readonly",
        setTimeout: "readonly",
        AbortController: "readonly",
      },
    },
  },
  {
    files: ["src/**/*.{ts,js}"],
    rules: { "max-lines-per-function": ["error", { max: 80 }], "max-params": ["error", { max: 5 }] },
  },
  {
    // The script of the status page runs in a browser.
    files: ["src/server/page/client.js"],
    languageOptions: {
      globals: {
        document: "readonly",
        location: "readonly",
        navigator: "readonly",
        addEventListener: "readonly",
        clearTimeout: "readonly",
        AbortSignal: "readonly",
        DOMParser: "readonly",
        Element: "readonly",
        Node: "readonly",
      },
    },
  },
  { files: ["test/**/*.ts"], rules: { "@typescript-eslint/no-non-null-assertion": "off" } },
);
