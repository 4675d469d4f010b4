/**
 * 送达: this device says by itself that an order lies on its disk. Once per target and round, never before the rows
 * are stored, and only where the person's role may take steps.
 */

import type { Row } from '../core/contract.ts';
import { roundOf } from '../core/fold.ts';
import { Refusal } from '../core/mutation.ts';
import type { Saved } from '../core/outbox.ts';
import { keyOf, splitKey, type Key } from '../core/rows.ts';
import { INTENTS } from '../core/intents.ts';
import type { SaveRequest } from '../store/save.ts';
import type { Store } from '../store/store.ts';
import type { Identity } from './types.ts';

const KINDS: ReadonlySet<string> = new Set(['phone', 'tablet']);
const INTENT = 'target.step';
/** So many are put on disk together; between two lots, what a person writes gets its turn. */
const AT_ONCE_MAX = 50;

export interface ReceiptParts {
  store: Store;
  identity: () => Identity | null;
  now: () => number;
  newId: () => string;
}

/** What one receipt is about. */
interface Due {
  target: Row;
  directive: Row;
  round: number;
}

export class Receipts {
  private readonly parts: ReceiptParts;
  private readonly done = new Set<string>();

  constructor(parts: ReceiptParts) {
    this.parts = parts;
  }

  /** Afterwards every target that these stored rows made due has its receipt on disk. Their urgencies. */
  async after(keys: Iterable<Key>): Promise<string[]> {
    const written: string[] = [];
    if (!this.entitled()) return written;
    const touched = [...this.touched(keys)];
    for (let at = 0; at < touched.length; at += AT_ONCE_MAX) {
      const due = touched.slice(at, at + AT_ONCE_MAX).map((id) => this.due(id));
      written.push(...(await this.write(due.filter((one) => one !== null))));
    }
    return written;
  }

  /** All targets on disk: the app may have ended between storing one and saying so. */
  afterStart(): Promise<string[]> {
    return this.after(this.parts.store.memory.rows('target').map((row) => keyOf('target', row.id)));
  }

  private entitled(): boolean {
    const me = this.parts.identity();
    const roles = INTENTS[INTENT]!.roles;
    return me !== null && KINDS.has(me.kind) && me.roles.some((role) => roles.includes(role));
  }

  /** The targets that a stored row may have made due. */
  private touched(keys: Iterable<Key>): Set<string> {
    const { memory } = this.parts.store;
    const targets = new Set<string>();
    for (const key of keys) {
      const [entity, id] = splitKey(key);
      if (entity === 'target') targets.add(id);
      if (entity === 'round') targets.add((memory.confirmedRow(key)?.fields.target as string) ?? '');
      if (entity === 'directive') memory.children('target', id).forEach((row) => targets.add(row.id));
    }
    return targets;
  }

  private due(id: string): Due | null {
    const { memory } = this.parts.store;
    const me = this.parts.identity();
    const target = memory.confirmedRow(keyOf('target', id));
    if (!me || !target || target.removed || target.fields.unit !== me.unit) return null;
    const directive = memory.confirmedRow(keyOf('directive', target.fields.directive));
    if (!directive || directive.removed) return null;
    const round = roundOf(memory.children('round', id));
    if (this.done.has(mark(id, round)) || this.isSaid(id, round, me.replica)) return null;
    return { target, directive, round };
  }

  /** This replica's receipt is there, or the round is closed and nobody waits for one. */
  private isSaid(target: string, round: number, replica: string): boolean {
    const steps = this.parts.store.memory.children('step', target).filter((row) => row.fields.round === round);
    const mine = (row: Row): boolean => row.fields.step === 'received' && row.dot.startsWith(`${replica}/`);
    return steps.some((row) => mine(row) || row.fields.step === 'closed');
  }

  /** The urgencies of those that were not on disk before. */
  private async write(due: Due[]): Promise<string[]> {
    if (!due.length) return [];
    const saved = await this.parts.store.saveAll(due.map((one) => this.request(one)));
    due.forEach(({ target, round }) => this.done.add(mark(target.id, round)));
    const made = due.filter((_, i) => saved[i] !== null && !(saved[i] instanceof Refusal));
    return made.map(({ directive }) => directive.fields.urgency as string);
  }

  private request({ target, directive, round }: Due): SaveRequest {
    const { now, newId } = this.parts;
    const fields = {
      target: target.id,
      directive: directive.id,
      unit: target.fields.unit as string,
      round,
      at: now(),
      step: 'received',
      version: directive.fields.version as number,
      route: 'device',
      note: null,
    };
    const changes = [{ op: 'create', entity: 'step', id: newId(), fields }];
    const meant = { intent: INTENT, changes, base: {}, after: [], guard: [] };
    return { meant, nowMs: now(), ticket: newId(), photos: [], once: mark(target.id, round) };
  }
}

/** True for a receipt of a routine order, which need not go at once. */
export function isRoutineReceipt({ mutation }: Saved, store: Store): boolean {
  const { step, directive } = mutation.changes[0]!.fields;
  if (mutation.intent !== INTENT || step !== 'received') return false;
  return store.memory.confirmedRow(keyOf('directive', directive))?.fields.urgency === 'routine';
}

function mark(target: string, round: number): string {
  return `receipt/${target}/${round}`;
}
