/** Which orders call out loud. Pure. */
import { RANKS } from '../../../core/intents.ts';
import type { Sound } from '../../alarm/alarm.ts';
import type { Order } from '../shared/order.ts';

export type AlarmKind = 'sign' | 'stop' | 'contested';

export interface Alarm {
  kind: AlarmKind;
  order: Order;
  /** A new round or a new recall of the same order is a new alarm. */
  id: string;
}

/** `contested` waits for the centre's word, so it can be put aside; the others only end by their answer. */
function kindOf({ progress }: Order): AlarmKind | null {
  if (progress.recall === 'recalling') return 'stop';
  if (progress.recall === 'contested') return 'contested';
  if (progress.recall !== 'none') return null;
  return progress.rank < RANKS.signed! ? 'sign' : null;
}

/** What waits for this duty room, in the order in which it is shown: people in the wrong place stop first. */
export function alarmsOf(orders: readonly Order[], aside: ReadonlySet<string>): Alarm[] {
  const alarms: Alarm[] = [];
  for (const order of orders) {
    const kind = kindOf(order);
    if (!kind) continue;
    const id = `${order.id}/${order.progress.round}/${order.progress.recallId ?? kind}`;
    if (kind !== 'contested' || !aside.has(id)) alarms.push({ kind, order, id });
  }
  return [...alarms.filter((one) => one.kind !== 'sign'), ...alarms.filter((one) => one.kind === 'sign')];
}

/** An order that presses sounds the siren, until nothing unsigned is left; recalls and routine orders the notice. */
export function soundFor(alarms: readonly Alarm[]): Sound | null {
  if (!alarms.length) return null;
  const presses = alarms.some(({ kind, order }) => kind === 'sign' && order.directive.fields.urgency !== 'routine');
  return presses ? 'siren' : 'notice';
}
