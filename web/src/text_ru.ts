import { en } from "./text_en";
export const ru = en;
