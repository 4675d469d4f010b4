/** What a person does with an order, as facts. Each resolves once it is on this device's disk. */

import type { Change, Row } from '../../../core/contract.ts';
import type { EntityName } from '../../../core/entities.ts';
import { RANKS, type IntentName, type StepName } from '../../../core/intents.ts';
import type { Photo } from '../../../net/types.ts';
import type { Order } from './order.ts';
import type { Fix } from './place.ts';

/** The part of the device that writing needs. */
export interface Writer {
  newId(): string;
  now(): number;
  write(intent: IntentName, changes: Change[]): Promise<string>;
}

/** The part that writes a thing once, in whichever tab. */
export interface OnceWriter extends Writer {
  writeOnce(key: string, intent: IntentName, changes: Change[]): Promise<string | null>;
}

async function create(
  device: Writer,
  intent: IntentName,
  entity: EntityName,
  fields: Record<string, unknown>,
): Promise<string> {
  const id = device.newId();
  await device.write(intent, [{ op: 'create', entity, id, fields }]);
  return id;
}

function ofOrder(device: Writer, { id, directive, target, progress }: Order): Record<string, unknown> {
  return { target: id, directive: directive.id, unit: target.fields.unit, round: progress.round, at: device.now() };
}

/** Take a step of the round on screen. Answers the fact's id. */
export function takeStep(device: Writer, order: Order, step: StepName): Promise<string> {
  return create(device, 'target.step', 'step', stepFields(device, order, step));
}

function stepFields(device: Writer, order: Order, step: StepName): Record<string, unknown> {
  const { version } = order.directive.fields;
  return { ...ofOrder(device, order), step, version, route: 'device', note: null };
}

/** 停止确认 of the recall on screen. */
export function confirmStop(device: Writer, order: Order): Promise<string> {
  const recall = order.progress.recallId;
  return create(device, 'target.stop', 'stop', { ...ofOrder(device, order), recall });
}

export type FeedbackKind = 'progress' | 'arrive' | 'result' | 'halt';

export interface Said {
  kind: FeedbackKind;
  text: string;
  photos: Photo[];
  place: string;
  fix: Fix | null;
}

export function addFeedback(device: Writer, order: Order, said: Said): Promise<string> {
  return create(device, 'feedback.add', 'feedback', {
    ...ofOrder(device, order),
    kind: said.kind,
    text: said.text.trim() || null,
    photos: said.photos.map(({ sha256, size, type, thumb }) => ({ sha256, size, type, thumb })),
    ...placeFields(said.place, said.fix),
  });
}

/** 求助, about an order or about none. */
export function callHelp(
  device: Writer,
  unit: string,
  call: { target: string | null; text: string; fix: Fix | null },
): Promise<string> {
  return create(device, 'help.call', 'help_call', {
    unit,
    target: call.target,
    text: call.text.trim() || null,
    at: device.now(),
    ...placeFields('', call.fix),
  });
}

/** Position fields of any fact: words, or a fix, or both, or neither. */
export function placeFields(place: string, fix: Fix | null): Record<string, string | number | null> {
  return {
    place: place.trim() || null,
    lat_e6: fix?.lat_e6 ?? null,
    lon_e6: fix?.lon_e6 ?? null,
    accuracy_m: fix?.accuracy_m ?? null,
  };
}

const reading = new Set<string>();

/** Opening an unread order is a fact, once per round and device, in however many tabs it is open. */
export async function markRead(device: OnceWriter, order: Order): Promise<void> {
  const { rank, round } = order.progress;
  const once = `${order.id}/${round}`;
  if (rank >= RANKS.read! || reading.has(once)) return;
  reading.add(once);
  const fields = stepFields(device, order, 'read');
  const change: Change = { op: 'create', entity: 'step', id: device.newId(), fields };
  await device.writeOnce(`read/${once}`, 'target.step', [change]).catch(() => reading.delete(once));
}

/** True when this device wrote the row. */
export function wroteHere(row: Pick<Row, 'dot'>, replica: string): boolean {
  return row.dot.startsWith(`${replica}/`);
}
