/** Words: the same tables as the server's, Chinese first. */

import zh from '../../../schema/i18n/zh-CN.json';
import { kept, keep } from './kept.ts';

export type WordKey = keyof typeof zh;
export type Language = 'zh-CN' | 'en';
type Table = Readonly<Record<string, string>>;

const KEPT_AS = 'lingda.language';
let chinese: Table = zh;

class Words {
  language = $state<Language>('zh-CN');
  /** The words of the language; Chinese is always here, the other comes when it is wanted. */
  table = $state.raw<Table>(chinese);
  /** Settled once the language of last time is spoken, or cannot be. */
  readonly ready: Promise<void> = kept(KEPT_AS) === 'en' ? this.#speak('en') : Promise.resolve();

  /** Speak this language from now on, also after a restart. */
  async use(language: Language): Promise<void> {
    keep(KEPT_AS, language);
    await this.#speak(language);
  }

  /** Words of screens that came later are known from now on. */
  learn(more: Table): void {
    chinese = { ...chinese, ...more };
    if (this.language === 'zh-CN') this.table = chinese;
  }

  /** Without a network and without the file, it stays as it was. */
  async #speak(language: Language): Promise<void> {
    const table =
      language === 'en' ? await import('../../../schema/i18n/en.json').catch(() => null) : { default: chinese };
    if (!table) return;
    this.table = table.default;
    this.language = language;
  }
}

export const words = new Words();

const tell = (key: string): string | undefined => words.table[key] ?? chinese[key];

/** The sentence of `key` with its `{name}` placeholders filled. */
export function say(key: WordKey, values: Record<string, string | number> = {}): string {
  const text = tell(key) ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The word of a code, such as `step.signed`; the code itself when a newer server invented it. */
export function sayCode(prefix: string, code: string): string {
  return tell(`${prefix}.${code}`) ?? code;
}

/** The sentences `prefix.1`, `prefix.2` … that the dictionary has. */
export function sayList(prefix: string): string[] {
  const sentences: string[] = [];
  for (let n = 1; ; n++) {
    const text = tell(`${prefix}.${n}`);
    if (text === undefined) return sentences;
    sentences.push(text);
  }
}
