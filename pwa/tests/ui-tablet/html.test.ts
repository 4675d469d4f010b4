import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import en from '../../../schema/i18n/en.json';
import zh from '../../../schema/i18n/zh-CN.json';
import { SHORTCUTS } from '../../src/ui/views/tablet/keys.ts';

const LINES_MAX = 200;
const sources = ['alarm/', 'views/tablet/', 'views/operator/'].flatMap((folder) => {
  const url = new URL(`../../src/ui/${folder}`, import.meta.url);
  return readdirSync(url).map((name) => [folder + name, readFileSync(new URL(name, url), 'utf8')] as const);
});
const pages = sources.filter(([name]) => name.endsWith('.svelte'));
const words: Record<string, string>[] = [zh, en];

describe.each(pages)('%s', (_name, text) => {
  const markup = text.replace(/<script[^]*?<\/script>/g, '').replace(/<style>[^]*/, '');

  it('takes its words from the dictionaries', () => {
    expect(text.replace(/\/\*[^]*?\*\//g, '')).not.toMatch(/[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]/);
  });
  it('sets no style attribute from HTML, which the content policy forbids', () => {
    expect(markup).not.toMatch(/\sstyle=/);
    expect(markup).not.toMatch(/\sstyle:[\w-]+="[^{"]*"/);
  });
  it('stays short enough to be read at once', () => {
    expect(text.split('\n').length).toBeLessThanOrEqual(LINES_MAX);
  });
});

describe('words made from codes are all there', () => {
  const keys = (prefix: string, codes: readonly string[]) => codes.map((code) => `${prefix}.${code}`);
  it.each([
    ...keys('tablet.lamp.sound', ['locked', 'unlocking', 'on', 'interrupted', 'failed']),
    ...keys('tablet.lamp.screen', ['off', 'held', 'lost', 'unsupported']),
    ...keys('tablet.lamp.notices', ['default', 'granted', 'denied', 'unsupported']),
    ...keys('tablet.lamp', ['sound', 'screen', 'notices']),
    ...keys('tablet.board', ['to_sign', 'acting', 'done', 'to_sign.none', 'acting.none', 'done.none']),
    ...keys('tablet.register.lack', ['name', 'post', 'phone']),
    ...keys('tablet.keys', Object.keys(SHORTCUTS)),
    ...keys('kind', ['move', 'hand_over', 'stop', 'resume', 'mobile', 'landline']),
    ...keys('status', ['available', 'in_use', 'out_of_service']),
    ...keys('duty', ['head', 'liaison', 'duty_room']),
    ...keys('rule', ['4.3#1', '4.3#2', '4.3#3', '4.3#16']),
  ])('%s', (key) => {
    for (const table of words) expect(table[key]).toBeTruthy();
  });
  it('and every word of these screens is used', () => {
    const whole = sources.map(([, text]) => text).join('\n');
    const prefixes = [...whole.matchAll(/`(tablet\.[\w.]+)\.\$\{|sayCode\('([\w.]+)'/g)].map(
      (hit) => hit[1] ?? hit[2]!,
    );
    const own = Object.keys(zh).filter((key) => key.startsWith('tablet.') || key.startsWith('operator.'));
    const unused = own.filter((key) => !whole.includes(`'${key}'`) && !prefixes.some((p) => key.startsWith(`${p}.`)));
    expect(unused).toEqual([]);
  });
});
