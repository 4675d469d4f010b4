/** One order of one unit, put together from its rows: what it says, where it stands, what may come next. */

import type { Row } from '../../../core/contract.ts';
import { overdue, progressOf, type Clock, type Facts, type Progress } from '../../../core/fold.ts';
import type { EntityName } from '../../../core/entities.ts';
import { RANKS, type StepName } from '../../../core/intents.ts';

/** The part of the device that orders are read from. */
export interface Reader {
  rows(entity: EntityName): Row[];
  row(entity: EntityName, id: string): Row | null;
  children(entity: EntityName, parent: string): Row[];
}

export interface Order {
  /** The target's id: the order's address on this device. */
  id: string;
  target: Row;
  directive: Row;
  /** The incident's summary; null until it arrives. */
  incident: Row | null;
  facts: Facts;
  progress: Progress;
}

/** The order of a target; null when it, or its directive, is not on this device. */
export function orderOf(device: Reader, id: string): Order | null {
  const target = device.row('target', id);
  const directive = target && device.row('directive', target.fields.directive);
  if (!target || !directive) return null;
  const of = (entity: EntityName): Row[] => device.children(entity, id);
  const facts: Facts = {
    steps: of('step'),
    rounds: of('round'),
    recalls: of('recall'),
    stops: of('stop'),
    rulings: of('ruling'),
    feedback: of('feedback'),
  };
  const incident = device.row('incident_summary', target.fields.incident);
  return { id, target, directive, incident, facts, progress: progressOf(directive, facts) };
}

/** All orders of a unit, the one to act on first in front. */
export function ordersOf(device: Reader, unit: string): Order[] {
  const orders = device
    .rows('target')
    .filter((target) => target.fields.unit === unit)
    .map((target) => orderOf(device, target.id))
    .filter((order): order is Order => order !== null);
  return orders.sort(byNeed);
}

/** What a person of the unit does, in this order; each may be skipped. */
export const ACTS = ['signed', 'departed', 'arrived', 'acting', 'reported'] as const satisfies readonly StepName[];
export type Act = (typeof ACTS)[number];

/** A notice is read and answered; nobody drives out for it. */
const NOTICE_ACTS: readonly Act[] = ['signed', 'reported'];

/** A recall that takes the order off the table; a result that the centre accepted lives on. */
export function recalled({ progress }: Order): boolean {
  return !['none', 'accepted'].includes(progress.recall);
}

/** A recall that still asks for 停止确认. */
export function mustStop({ progress }: Order): boolean {
  return progress.recall === 'recalling' || progress.recall === 'contested';
}

/** Nothing more is asked of the unit. */
export function finished(order: Order): boolean {
  return order.progress.step === 'closed' || (recalled(order) && !mustStop(order));
}

/** What the one big button does; null when nothing is next. */
export function nextAct(order: Order): Act | null {
  if (recalled(order)) return null;
  const acts = order.directive.fields.kind === 'notice' ? NOTICE_ACTS : ACTS;
  return acts.find((act) => RANKS[act]! > order.progress.rank) ?? null;
}

/** The steps that may be taken out of turn: all later ones but the next. */
export function laterActs(order: Order): Act[] {
  const next = nextAct(order);
  return next ? ACTS.filter((act) => RANKS[act]! > order.progress.rank && act !== next) : [];
}

/** The recall that counts now. */
export function recallRow({ facts, progress }: Order): Row | null {
  return facts.recalls.find((row) => row.id === progress.recallId) ?? null;
}

/** Why there is a new round; null in the first. */
export function roundRow({ facts, progress }: Order): Row | null {
  return facts.rounds.find((row) => row.fields.round === progress.round) ?? null;
}

/** The clocks a person watches: 送达 is the centre's own. A recall runs its own instead. */
export function clocksOf(order: Order): Clock[] {
  const recall = recallRow(order);
  if (!recall || order.progress.recall === 'accepted') {
    return order.progress.clocks.filter((clock) => clock.name !== 'receipt');
  }
  const allowed = order.directive.fields.clocks.stop as number | undefined;
  if (!allowed) return [];
  const stopped = order.facts.stops.find((row) => row.fields.recall === recall.id);
  const since = recall.fields.at as number;
  return [{ name: 'stop', since, due: since + allowed, met: stopped ? stopped.fields.at : null }];
}

/** The clock that runs out first; null when none runs. */
export function runningClock(order: Order): Clock | null {
  if (finished(order)) return null;
  const running = clocksOf(order).filter((clock) => clock.met === null);
  return running.reduce<Clock | null>((first, clock) => (!first || clock.due < first.due ? clock : first), null);
}

/** True when a clock is running late. */
export function late(order: Order, now: number): boolean {
  const clock = runningClock(order);
  return clock !== null && overdue(clock, now);
}

const URGENCY: Readonly<Record<string, number>> = { flash: 0, urgent: 1, routine: 2 };
const LEVEL: Readonly<Record<string, number>> = { I: 0, II: 1, III: 2, IV: 3 };
const NO_CLOCK = Number.MAX_SAFE_INTEGER;

/** Where an order stands in the list, smallest first: stop, urgency, level, unsigned, then the nearest deadline. */
function need(order: Order): number[] {
  const { rank } = order.progress;
  return [
    finished(order) ? 1 : 0,
    rank >= RANKS.reported! ? 1 : 0,
    mustStop(order) ? 0 : 1,
    URGENCY[order.directive.fields.urgency] ?? 1,
    LEVEL[order.incident?.fields.level] ?? 4,
    rank < RANKS.signed! ? 0 : 1,
    runningClock(order)?.due ?? NO_CLOCK,
    -order.directive.fields.at,
  ];
}

function byNeed(a: Order, b: Order): number {
  const [x, y] = [need(a), need(b)];
  const at = x.findIndex((value, i) => value !== y[i]);
  return at < 0 ? (a.id < b.id ? -1 : 1) : x[at]! - y[at]!;
}
