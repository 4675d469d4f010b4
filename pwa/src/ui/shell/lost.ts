/** Numbers of own words of which nothing is left, as a person reads them. */

import type { DamagedItem } from '../../net/types.ts';
import { say, sayCode } from '../words.svelte.ts';

/** What one lane has lost. */
export interface LostLane {
  dot: string;
  lane: string;
  numbers: string;
  found: number;
  ids: number[];
}

/** Lane by lane, the urgent ones first. */
export function lostLanes(damaged: readonly DamagedItem[]): LostLane[] {
  const lost = damaged.filter(({ text }) => text === null).sort((a, b) => a.lane - b.lane || a.n - b.n);
  const lanes = [...new Set(lost.map(({ lane }) => lane))];
  return lanes.map((lane) => {
    const items = lost.filter((one) => one.lane === lane);
    return {
      dot: items[0]!.dot,
      lane: sayCode('app.lane', String(lane)),
      numbers: numbersText(items.map(({ n }) => n)),
      found: Math.max(...items.map(({ found }) => found)),
      ids: items.map(({ id }) => id),
    };
  });
}

/** All of it in one line. */
export function lostText(damaged: readonly DamagedItem[]): string {
  return lostLanes(damaged)
    .map(({ lane, numbers }) => `${lane} ${numbers}`)
    .join(' · ');
}

/** Ascending numbers, those that follow each other as a range: 第 2–4、7 号. */
export function numbersText(numbers: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const n of numbers) {
    const last = ranges[ranges.length - 1];
    if (last?.[1] === n - 1) last[1] = n;
    else ranges.push([n, n]);
  }
  const parts = ranges.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`));
  return say('app.lost.numbers', { numbers: parts.join(say('app.lost.between')) });
}
