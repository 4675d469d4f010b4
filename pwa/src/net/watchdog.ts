/** A line may look open and carry nothing: the sign is an outbox that does not shrink. */

import type { Ports } from './ports.ts';

export const WATCH_MS = 15_000;
/** An open line that settles nothing for this long is taken for dead. */
export const STALL_MS_MAX = 60_000;

export interface WatchdogParts {
  ports: Pick<Ports, 'later' | 'now'>;
  /** The line to the centre is open. */
  up: () => boolean;
  /** Hashes of what waits to be settled. */
  waiting: () => string[];
  stalled: () => void;
}

export class Watchdog {
  private readonly parts: WatchdogParts;
  private seen: ReadonlySet<string> = new Set();
  private since = 0;
  private cancel: () => void = () => undefined;

  constructor(parts: WatchdogParts) {
    this.parts = parts;
  }

  start(): void {
    this.cancel();
    this.begin(new Set());
    this.next();
  }

  stop(): void {
    this.cancel();
  }

  private next(): void {
    this.cancel = this.parts.ports.later(WATCH_MS, () => {
      this.look();
      this.next();
    });
  }

  private look(): void {
    const waiting = new Set(this.parts.waiting());
    const shrunk = [...this.seen].some((hash) => !waiting.has(hash));
    if (!this.parts.up() || !this.seen.size || shrunk) return this.begin(waiting);
    const ms = this.parts.ports.now() - this.since;
    if (ms >= 0 && ms < STALL_MS_MAX) return;
    this.begin(waiting);
    if (ms > 0) this.parts.stalled();
  }

  private begin(waiting: ReadonlySet<string>): void {
    this.seen = waiting;
    this.since = this.parts.ports.now();
  }
}
