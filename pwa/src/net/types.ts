/** What the screens see of the device: the types of the facade in `device.ts`. */

import type { Mutation, Row, Value } from '../core/contract.ts';
import type { DeviceKindName } from '../core/entities.ts';
import type { Code, IntentName, Role, Tag } from '../core/intents.ts';
import type { OwedPhoto } from '../store/blobs.ts';
import type { Trouble } from './trouble.ts';

export type { Trouble };
export type { Change, Row, Value } from '../core/contract.ts';
export type { EntityName } from '../core/entities.ts';
export type { Code, IntentName } from '../core/intents.ts';

/** Who this device is and for whom it speaks; given by enrolment, kept on disk. */
export interface Identity {
  realm: string;
  centre: string;
  centreName: string;
  epoch: string;
  replica: string;
  session: string;
  actor: string;
  actorName: string;
  unit: string;
  unitName: string;
  kind: DeviceKindName;
  roles: Role[];
}

/** A photo as a `photos` field holds it. `thumb` is a data URL of at most 8 KB of picture. */
export interface Photo {
  sha256: string;
  size: number;
  type: string;
  thumb: string;
}

/** One thing written here that the centre has not settled yet. */
export interface OutboxItem {
  dot: string;
  lane: number;
  intent: IntentName;
  /** Corrected ms at which it was saved. */
  at: number;
  hash: string;
  /** Bytes of its photos that still wait for their turn. */
  photoBytes: number;
  /** `held`: the centre has it, and waits for something it builds on. */
  state: 'saved' | 'held';
  mutation: Mutation;
}

/** Something written here that the centre did not take; its words stay until a person dismisses it. */
export interface RefusedItem {
  dot: string;
  verdict: 'refused' | 'quarantined';
  code: Code | null;
  detail: string | null;
  /** What a person should know of it beside the reason. */
  tags: Tag[];
  at: number;
  mutation: Mutation;
}

/** Something written here that the disk has spoilt or lost. It stays until a person has seen it, and is in the file. */
export interface DamagedItem {
  id: number;
  dot: string;
  lane: number;
  /** Its number in that lane. */
  n: number;
  /** What of the text is left, as it was found; null where nothing is. */
  text: string | null;
  /** Corrected ms at which it was saved, where that is known, and at which the damage was found. */
  at: number | null;
  found: number;
  /** The centre had the words, and had refused them. */
  refused: boolean;
}

/** `failed`: the centre refused it for good; `spoilt`: the disk has spoilt it. */
export type PhotoState = OwedPhoto['state'];

/** A photo of own words that the centre does not have, though it has the words. */
export interface PhotoItem {
  sha256: string;
  size: number;
  state: PhotoState;
  /** The row that names it; null where it is not here any more. */
  row: Row | null;
}

/** The centre was restored from a backup; what this device still has to bring it. */
export interface Restored {
  /** Own mutations that it had, and lacks now. */
  own: number;
  /** Signed orders of others. */
  orders: number;
  /** Rows to report that nobody's signed words bring back. */
  rows: number;
}

/** For ✓ (saved on this device) and ✓✓ (`arrived`: when the centre had it, by the centre's clock). */
export interface ReceiptState {
  saved: boolean;
  arrived: number | null;
}

export interface Receipt extends ReceiptState {
  /** Remarks of the centre on what it took. */
  tags: Tag[];
}

export interface DeviceStatus {
  /** The centre answered within the last two heartbeats. */
  online: boolean;
  /** Ms since the centre last answered anything; null when it never did. */
  heartbeatAge: number | null;
  syncing: boolean;
  /** Mutations that wait for a final verdict. */
  waiting: number;
  /** Photos of settled mutations that the centre does not have yet, and their bytes. */
  photosWaiting: number;
  photoBytesWaiting: number;
  /** Photos that the centre refused for good, or that the disk has spoilt: they stay, and are not offered again. */
  photosFailed: number;
  photosSpoilt: number;
  /** Corrected ms of the last sync that completed every lane: 数据截至. Null before the first. */
  lastSync: number | null;
  /** This tab does the syncing; others follow it. */
  leader: boolean;
  /** The last answer left some lane incomplete. */
  behind: boolean;
  /** Records that the disk has spoilt and nobody has looked at yet. */
  damaged: number;
  /** Parts of the data that differ from the centre's and are fetched anew. */
  repairs: number;
  /** Null unless the centre was restored and still lacks something that this device has. */
  restored: Restored | null;
  /** The database failed twice: the screen asks to reopen. */
  storeLost: boolean;
  /** Another tab has a newer version of the app, or the centre asks for one. */
  updateNeeded: boolean;
  /** Why the last try failed; null when it did not. `offline`: nothing answered; `revoked`: until a right is back. */
  problem: Trouble | null;
  /** Keys, camera and position work: the page came over https or from this machine. */
  secure: boolean;
}

export interface WriteOptions {
  /** Dots that must be applied first, when this is judged elsewhere or in another lane. */
  after?: string[];
  /** Replaces the dots that the row on this device would give: `{"entity/id": {field: [dots]}}`. */
  base?: Record<string, Record<string, string[]>>;
  /** Conditions judged at the row's home. */
  guard?: { row: string; check: string; field?: string | null; value?: Value }[];
}
