/** What a dispute is about, in words, and how a value of it reads. */

import type { Value } from '../../../core/contract.ts';
import { app } from '../../app-state.svelte.ts';
import { say, sayCode } from '../../words.svelte.ts';
import { degrees } from '../shared/place.ts';
import type { Dispute } from './disputes.ts';
import { nameOf } from './people.ts';

const FIELDS_OF_CODES = new Set(['kind', 'status', 'duty']);

/** 张立新的手机号码, 挖掘机 3 号 · 状态. */
export function subjectOf({ conflict, row, field }: Dispute): string {
  const { row_entity } = conflict.fields;
  if (row_entity === 'target') return say('tablet.conflicts.recall');
  const contact = app.read((device) => row && device.row('contact', row.fields.contact));
  const whose = contact?.fields.name ?? row?.fields.name ?? sayCode('entity', row_entity);
  const what = row_entity === 'contact_phone' && row ? sayCode('kind', row.fields.kind) : sayCode('field', field);
  return say('tablet.conflicts.subject', { whose, what });
}

/** The words for a place and its coordinates, as far as a filing has them. */
function placeText({ place, lat_e6, lon_e6 }: Record<string, Value>): string {
  const measured = typeof lat_e6 === 'number' && typeof lon_e6 === 'number';
  const coords = measured ? say('app.place.coords', { lat: degrees(lat_e6), lon: degrees(lon_e6) }) : '';
  return [place, coords].filter(Boolean).join(' · ');
}

export function valueText(field: string, value: Value): string {
  if (value === null || value === undefined || value === '') return say('tablet.conflicts.empty');
  if (field === 'position') return placeText(value);
  if (field === 'recall') return value === 'recall' ? sayCode('entity', 'recall') : sayCode('step', String(value));
  if (field === 'operator_person') return app.read((device) => nameOf(device, String(value)));
  return FIELDS_OF_CODES.has(field) ? sayCode(field, String(value)) : String(value);
}

/** Numbers stay dialable while they are disputed. */
export const isNumber = (field: string): boolean => field === 'number' || field.endsWith('_phone');
