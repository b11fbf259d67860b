import { LIST } from "./list.ts";
import { sourceContract } from "./source.contract.ts";

for (const { type, open } of LIST) sourceContract(type, open);
