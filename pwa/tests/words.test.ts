import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ownWords } from '../vite/app-words.ts';

const zh = readFileSync(new URL('../../schema/i18n/zh-CN.json', import.meta.url), 'utf8');

test('the app carries its own words and not those of the web view', () => {
  const kept = JSON.parse(ownWords(zh)) as Record<string, string>;
  expect(kept['app.brand']).toBeTruthy();
  expect(kept['step.signed']).toBeTruthy();
  expect(Object.keys(kept).filter((key) => /^(desk|cli|demo|trust)\./.test(key))).toEqual([]);
});
