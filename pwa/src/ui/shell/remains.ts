/** What can still be read of words that the disk has spoilt. */

import type { Mutation } from '../../core/contract.ts';

/** What was written, as far as it is left, in the shape that names the act; and every sentence of it. */
export interface Remains {
  /** Null where not even the act can be told. */
  mutation: Pick<Mutation, 'intent' | 'changes'> | null;
  words: string[];
}

const INTENT = /"intent":"([\w.]+)"/;
const SAID = /"(text|reason|note|name|number|place|step|kind|target)":"((?:[^"\\]|\\.)*)/g;
const CODES = new Set(['step', 'kind', 'target']);

/** Reads a text of which any part may be missing or changed. */
export function remainsOf(text: string): Remains {
  const said = [...text.matchAll(SAID)].map(([, name, value]) => [name!, plain(value!)] as const);
  const fields = Object.fromEntries(said.filter(([name]) => CODES.has(name)));
  const words = said.filter(([name, value]) => !CODES.has(name) && value !== '').map(([, value]) => value);
  const intent = INTENT.exec(text)?.[1];
  const change = { op: 'create', entity: '', id: '', fields };
  return { mutation: intent ? { intent, changes: [change] } : null, words: [...new Set(words)] };
}

/** The characters that stand behind the escapes; a text that was cut in the middle of one stays as it is. */
function plain(escaped: string): string {
  try {
    return JSON.parse(`"${escaped}"`) as string;
  } catch {
    return escaped;
  }
}
