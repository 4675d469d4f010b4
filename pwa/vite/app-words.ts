import type { Plugin } from 'vite';

/** Words that only the web view, the command line and the trust page say. */
const OF_OTHERS = ['desk.', 'cli.', 'demo.', 'trust.'];

/** Leaves the words of others out of the app: a phone on a bad network need not fetch them. */
export function appWords(): Plugin {
  return {
    name: 'lingda-app-words',
    enforce: 'pre',
    transform(text, id) {
      return /\/schema\/i18n\/[\w-]+\.json$/.test(id) ? { code: ownWords(text), map: null } : null;
    },
  };
}

/** The dictionary without the words of others. */
export function ownWords(text: string): string {
  const words = Object.entries(JSON.parse(text) as Record<string, string>);
  return JSON.stringify(Object.fromEntries(words.filter(([key]) => !OF_OTHERS.some((one) => key.startsWith(one)))));
}
