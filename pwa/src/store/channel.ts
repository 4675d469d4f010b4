/** What tabs of one device tell each other. Only names of what changed travel, never rows. */

import type { Key } from '../core/rows.ts';

export type TabMessage =
  | { kind: 'changed'; keys: Key[]; lists: boolean }
  | { kind: 'all' }
  | { kind: 'draft'; name: string }
  | { kind: 'ask'; lane: number | null }
  | { kind: 'status'; status: unknown };

/** A line to all other tabs; what one says it does not hear itself. */
export interface TabChannel {
  post(message: TabMessage): void;
  listen(hear: (message: TabMessage) => void): void;
  close(): void;
}

/** For a browser without BroadcastChannel, or a test with one tab. */
export const NO_CHANNEL: TabChannel = { post: () => undefined, listen: () => undefined, close: () => undefined };
