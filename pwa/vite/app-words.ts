import type { Plugin } from 'vite';

/** Words that only the web view, the command line, the trust page and the bundle's page say. */
const OF_OTHERS = ['desk.', 'cli.', 'demo.', 'trust.', 'bundle.', 'doctor.', 'verify.'];

/** Words of screens that a responder's phone never shows: they come with those screens, by `?surfaces`. */
const OF_SURFACES = ['tablet.', 'operator.'];

const TABLE = /\/schema\/i18n\/([\w-]+)\.json(\?surfaces)?$/;
/** Always here, and therefore split; the other language comes whole when it is wanted. */
const FIRST = 'zh-CN';

/** Leaves out of the app what it does not say: a phone on a bad network need not fetch the words of others. */
export function appWords(): Plugin {
  return {
    name: 'lingda-app-words',
    enforce: 'pre',
    transform(text, id) {
      const [, name, surfaces] = TABLE.exec(id) ?? [];
      if (!name) return null;
      const own = ownWords(text);
      if (surfaces) return { code: `export default ${surfaceWords(own)}`, map: null, moduleType: 'js' };
      return { code: name === FIRST ? firstWords(own) : own, map: null };
    },
  };
}

/** The dictionary without the words of others. */
export function ownWords(text: string): string {
  return filtered(text, (key) => !startsWith(key, OF_OTHERS));
}

/** What of it the first screens say. */
export function firstWords(text: string): string {
  return filtered(text, (key) => !startsWith(key, OF_SURFACES));
}

/** The rest of it. */
export function surfaceWords(text: string): string {
  return filtered(text, (key) => startsWith(key, OF_SURFACES));
}

const startsWith = (key: string, parts: readonly string[]): boolean => parts.some((one) => key.startsWith(one));

function filtered(text: string, wanted: (key: string) => boolean): string {
  const words = Object.entries(JSON.parse(text) as Record<string, string>);
  return JSON.stringify(Object.fromEntries(words.filter(([key]) => wanted(key))));
}
