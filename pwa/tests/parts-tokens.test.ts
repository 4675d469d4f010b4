import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync(new URL('../../static/css/tokens.css', import.meta.url), 'utf8');

type Tokens = Record<string, string>;

/** The custom properties of the first block with this selector. */
function block(selector: string): Tokens {
  const start = css.indexOf(`${selector} {`);
  const body = css.slice(start, css.indexOf('}', start));
  return Object.fromEntries([...body.matchAll(/(--[\w-]+):\s*([^;]+);/g)].map(([, name, value]) => [name, value]));
}

const day = block('\n:root');
const night = block(":root[data-theme='night']");
const glare = block(":root[data-theme='glare']");
const themes: [string, Tokens][] = [
  ['day', day],
  ['night', { ...day, ...night }],
  ['glare', { ...day, ...glare }],
];

/** WCAG contrast of two #rrggbb colours. */
function contrast(a: string, b: string): number {
  const light = (hex: string) => {
    const [r, g, b] = [1, 3, 5]
      .map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)) as [number, number, number];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [high, low] = [light(a), light(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

describe.each(themes)('%s', (_name, tokens) => {
  const of = (name: string) => tokens[`--${name}`]!;
  const grounds = ['bg', 'surface', 'sunken', 'accent-soft'];

  it.each(['text', 'text-2'])('%s is at least 7:1 on every ground', (name) => {
    for (const ground of grounds) expect(contrast(of(name), of(ground)), ground).toBeGreaterThanOrEqual(7);
  });

  it('words on filled controls are at least 7:1', () => {
    for (const name of ['accent', 'strong', 'help'])
      expect(contrast(of(name), of(`on-${name}`)), name).toBeGreaterThanOrEqual(7);
    expect(contrast(of('accent-text'), of('accent-soft'))).toBeGreaterThanOrEqual(7);
  });

  it('level words are at least 4.5:1 on their colour', () => {
    for (const n of [1, 2, 3, 4])
      expect(contrast(of(`level-${n}`), of(`on-level-${n}`)), `${n}`).toBeGreaterThanOrEqual(4.5);
  });

  it('edges, lights, focus and the overdue outline are at least 3:1', () => {
    for (const name of ['edge', 'light', 'signed', 'fed-back', 'overdue', 'focus'])
      for (const ground of ['bg', 'surface', 'sunken'])
        expect(contrast(of(name), of(ground)), `${name} on ${ground}`).toBeGreaterThanOrEqual(3);
  });
});

it('the night of the system and the chosen night are the same', () => {
  expect(block('  :root:not([data-theme])')).toEqual(night);
});

it('needs nothing newer than the oldest browser we promise', () => {
  const desk = readFileSync(new URL('../../static/css/desk.css', import.meta.url), 'utf8');
  for (const text of [css, desk])
    expect(text).not.toMatch(
      /light-dark\(|color-mix\(|oklch\(|:has\(|@layer|@container|@font-face|https?:|\d[sld]v[hw]|@media[^{]*[<>]/,
    );
});

it('the floors hold on every surface', () => {
  const px = (tokens: Tokens, name: string) => parseInt(tokens[`--${name}`]!, 10);
  const surfaces: [Tokens, number][] = [
    [day, 48],
    [block("[data-surface='operator']"), 64],
    [block("[data-surface='console']"), 44],
  ];
  for (const [tokens, floor] of surfaces) {
    expect(px(tokens, 'floor')).toBe(floor);
    expect(px(tokens, 'tap')).toBeGreaterThanOrEqual(floor);
    expect(px(tokens, 'tap-big')).toBeGreaterThanOrEqual(px(tokens, 'tap'));
  }
  expect([px(day, 'tap'), px(day, 'tap-big')]).toEqual([56, 72]);
});
