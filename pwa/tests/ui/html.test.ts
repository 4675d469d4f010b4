import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const FOLDERS = ['', 'shell/', 'views/phone/', 'views/shared/'];
const LINES_MAX = 200;
const sources = FOLDERS.flatMap((folder) => {
  const url = new URL(`../../src/ui/${folder}`, import.meta.url);
  return readdirSync(url)
    .filter((name) => name.endsWith('.svelte'))
    .map((name) => [folder + name, readFileSync(new URL(name, url), 'utf8')] as const);
});

/** Markup alone: no script, no style, no comment. */
function markupOf(text: string): string {
  return text
    .replace(/<script[^]*?<\/script>/g, '')
    .replace(/<style>[^]*/, '')
    .replace(/<!--[^]*?-->/g, '');
}

describe.each(sources)('%s', (_name, text) => {
  const markup = markupOf(text);

  it('takes its words from the dictionaries', () => {
    expect(text.replace(/\/\*[^]*?\*\//g, '')).not.toMatch(/[\u3400-\u9fff]/);
    const nested = /\{[^{}]*(\{[^{}]*(\{[^{}]*\}[^{}]*)*\}[^{}]*)*\}/g;
    const words = markup.replace(nested, '').replace(/<[^>]*>/g, '');
    expect(words).not.toMatch(/[A-Za-z]{2}/);
  });
  it('sets no style attribute from HTML, which the content policy forbids', () => {
    expect(markup).not.toMatch(/\sstyle=/);
    expect(markup).not.toMatch(/\sstyle:[\w-]+="[^{"]*"/);
  });
  it('stays short enough to be read at once', () => {
    expect(text.split('\n').length).toBeLessThanOrEqual(LINES_MAX);
  });
});
