/** Which lines stand under the top bar: what threatens what was written comes first, and two are enough. */

import type { DeviceStatus } from '../../net/types.ts';
import { barred, revoked, signedOut } from '../views/shared/nothing.ts';

/** This many unsent changes are worth a word. */
export const UNSENT_WARN = 20;
/** A clock this far off confuses people, though not the records. */
export const CLOCK_WARN_MS = 120_000;

export type BannerName =
  | 'store_lost'
  | 'store_gone'
  | 'revoked'
  | 'signed_out'
  | 'insecure'
  | 'update_needed'
  | 'problem'
  | 'damaged'
  | 'restored'
  | 'photos'
  | 'refused'
  | 'unsent'
  | 'help_answered'
  | 'clock'
  | 'not_persisted'
  | 'update';

export interface BannerFacts {
  status: DeviceStatus;
  /** Corrected time minus this device's own. */
  offset: number;
  refused: number;
  answered: boolean;
  /** Null: not known, or the person does not want to hear it. */
  persisted: boolean | null;
  update: boolean;
  /** The newer version has already taken over: this page is the last of the old one. */
  replaced: boolean;
  /** First route part: what can wait is said at home alone, what a screen shows is not said above it. */
  screen: string;
}

/** Names of the banners that hold, the gravest first. */
export function bannersOf(facts: BannerFacts): BannerName[] {
  const { status } = facts;
  const holds: [BannerName, boolean][] = [
    ['store_gone', status.storeLost && status.waiting > 0],
    ['store_lost', status.storeLost && status.waiting === 0],
    ['revoked', revoked(status)],
    ['signed_out', signedOut(status)],
    ['insecure', !status.secure],
    ['update_needed', status.updateNeeded],
    ['help_answered', facts.answered],
    ['problem', status.problem !== null && status.problem !== 'offline' && !barred(status)],
    ['damaged', status.damaged > 0 && facts.screen !== 'unsent'],
    ['photos', status.photosFailed + status.photosSpoilt > 0 && facts.screen !== 'unsent'],
    ['refused', facts.refused > 0 && status.damaged === 0 && facts.screen !== 'unsent'],
    ['unsent', status.waiting >= UNSENT_WARN && facts.screen !== 'unsent'],
    ['restored', status.restored !== null],
    ['clock', Math.abs(facts.offset) > CLOCK_WARN_MS],
    ['update', facts.replaced || (facts.update && facts.screen === '')],
    ['not_persisted', facts.persisted === false && facts.screen === ''],
  ];
  return holds.filter(([, holding]) => holding).map(([name]) => name);
}
