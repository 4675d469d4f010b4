/** What a mutation says, in a line a person recognises. */

import type { Mutation } from '../../core/contract.ts';
import { sayCode } from '../words.svelte.ts';
import type { Reader } from '../views/shared/order.ts';

const EXCERPT_MAX = 60;
/** Fields that name the thing, the likeliest first. */
const NAMES = ['text', 'reason', 'note', 'name', 'number', 'place'] as const;

/** The act: 签收, 反馈 · 进展, 求助 … */
export function actOf(mutation: Pick<Mutation, 'intent' | 'changes'>): string {
  const fields = mutation.changes[0]?.fields ?? {};
  if (mutation.intent === 'target.step') return sayCode('step', fields.step);
  const act = sayCode('intent', mutation.intent);
  return typeof fields.kind === 'string' && mutation.intent !== 'contact.edit'
    ? `${act} · ${sayCode('kind', fields.kind)}`
    : act;
}

/** What it is about: the order's number and the first words. */
export function subjectOf(mutation: Pick<Mutation, 'changes'>, device: Reader): string {
  const { entity = '', fields = {} } = mutation.changes[0] ?? {};
  if (entity === 'void') return sayCode('app.void', fields.reason);
  const target = typeof fields.target === 'string' ? device.row('target', fields.target) : null;
  const directive = target && device.row('directive', target.fields.directive);
  const incident = target && device.row('incident_summary', target.fields.incident);
  const name = NAMES.map((field) => fields[field]).find((value) => typeof value === 'string' && value);
  return [directive?.fields.no, incident?.fields.title, excerpt(name)].filter(Boolean).join(' · ');
}

function excerpt(text: unknown): string {
  if (typeof text !== 'string') return '';
  const letters = [...text];
  return letters.length > EXCERPT_MAX ? `${letters.slice(0, EXCERPT_MAX).join('')}…` : text;
}
