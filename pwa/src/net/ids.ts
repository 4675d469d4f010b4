/** Ids of records, made on the device. */

import { hex } from '../core/sha256.ts';
import type { Ports } from './ports.ts';

/** A UUIDv7: 48 bits of corrected time, then chance. Sorts by time as text. */
export function newId(nowMs: number, ports: Pick<Ports, 'randomBytes'>): string {
  const bytes = ports.randomBytes(10);
  bytes[0] = (bytes[0]! & 0x0f) | 0x70;
  bytes[2] = (bytes[2]! & 0x3f) | 0x80;
  const text = nowMs.toString(16).padStart(12, '0') + hex(bytes);
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
}
