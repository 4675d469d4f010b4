import { readFileSync, readdirSync } from 'node:fs';
import { render } from 'svelte/server';
import { describe, expect, it } from 'vitest';
import BigButton from '../src/ui/parts/BigButton.svelte';
import Clock from '../src/ui/parts/Clock.svelte';
import Field from '../src/ui/parts/Field.svelte';
import Lights from '../src/ui/parts/Lights.svelte';
import StepBar from '../src/ui/parts/StepBar.svelte';
import SyncChip from '../src/ui/parts/SyncChip.svelte';
import Tabs from '../src/ui/parts/Tabs.svelte';

const folder = new URL('../src/ui/parts/', import.meta.url);
const sources = readdirSync(folder).filter((name) => name.endsWith('.svelte'));

describe.each(sources)('%s', (name) => {
  const text = readFileSync(new URL(name, folder), 'utf8');
  const script = /<script[^]*?<\/script>/g;
  const markup = text
    .replace(script, '')
    .replace(/<style>[^]*/, '')
    .replace(/<!--[^]*?-->/g, '');

  it('has no words of its own', () => {
    expect(markup).not.toMatch(/[\u4e00-\u9fff]/);
    const words = markup.replace(/\{[^{}]*(\{[^{}]*\}[^{}]*)*\}/g, '').replace(/<[^>]*>/g, '');
    expect(words.trim()).toBe('');
  });
  it('sets no style attribute from HTML, which the content policy forbids', () => {
    expect(markup).not.toMatch(/\sstyle=/);
    expect(markup).not.toMatch(/\sstyle:[\w-]+="[^{"]*"/);
  });
});

describe('what is said without sight or colour', () => {
  it('a disabled button stays reachable and gives its reason', () => {
    const { body } = render(BigButton, { props: { label: '下达', disabledReason: '没有选单位' } });
    const id = /aria-describedby="([^"]+)"/.exec(body)?.[1];
    expect(body).toContain('aria-disabled="true"');
    expect(body).not.toContain(' disabled');
    expect(body).toContain(`id="${id}"`);
  });
  it('a field ties hint and error to its input', () => {
    const { body } = render(Field, { props: { label: '原因', hint: '一句话', error: '必填', multiline: true } });
    const ids = /aria-describedby="([^"]+)"/.exec(body)?.[1]?.split(' ') ?? [];
    expect(ids).toHaveLength(2);
    for (const id of ids) expect(body).toContain(`id="${id}"`);
    expect(body).toContain('aria-invalid="true"');
  });
  it('lights, clock, steps, tabs and chip carry words', () => {
    const light = render(Lights, {
      props: { light: 'read', label: '已阅', showLabel: false, overdue: true, overdueLabel: '超时' },
    });
    expect(light.body).toContain('已阅');
    expect(light.body).toContain('超时');
    const clock = render(Clock, { props: { deadline: 0, now: 61_000, leftLabel: '剩余', overdueLabel: '超时' } });
    expect(clock.body).toContain('超时');
    expect(clock.body).toContain('01:01');
    const steps = render(StepBar, {
      props: {
        label: '进度',
        words: { done: '完成', now: '当前', next: '未到' },
        steps: [{ label: '已阅', state: 'now' }],
      },
    });
    expect(steps.body).toContain('aria-current="step"');
    expect(steps.body).toContain('当前');
    const tabs = render(Tabs, {
      props: {
        label: '主导航',
        current: 'a',
        tabs: [{ id: 'a', href: '#/', label: '待办', icon: 'list', badge: 3, badgeLabel: '3 条' }],
      },
    });
    expect(tabs.body).toContain('aria-current="page"');
    expect(tabs.body).toContain('3 条');
    const chip = render(SyncChip, { props: { state: 'offline', label: '离线', waiting: 3, waitingLabel: '3 条待发' } });
    expect(chip.body).toContain('3 条待发');
  });
});
