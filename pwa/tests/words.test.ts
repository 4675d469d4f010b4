import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { firstWords, ownWords, surfaceWords } from '../vite/app-words.ts';

const zh = readFileSync(new URL('../../schema/i18n/zh-CN.json', import.meta.url), 'utf8');
const keysOf = (text: string): string[] => Object.keys(JSON.parse(text) as Record<string, string>);

test('the app carries its own words and not those of the web view', () => {
  const kept = JSON.parse(ownWords(zh)) as Record<string, string>;
  expect(kept['app.brand']).toBeTruthy();
  expect(kept['step.signed']).toBeTruthy();
  expect(Object.keys(kept).filter((key) => /^(desk|cli|demo|trust|bundle)\./.test(key))).toEqual([]);
});

test('the first screens and the later ones have each word once between them', () => {
  const own = ownWords(zh);
  const [first, later] = [keysOf(firstWords(own)), keysOf(surfaceWords(own))];
  expect([...first, ...later].sort()).toEqual(keysOf(own).sort());
  expect(later).toContain('tablet.save');
  expect(first).toContain('app.help.button');
});
