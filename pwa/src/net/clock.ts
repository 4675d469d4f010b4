/** Corrected time: the device's clock plus the last measured distance to the centre's. */

import type { Ports } from './ports.ts';

/** A slower round trip says too little about the middle of it. */
export const ROUND_TRIP_MS_MAX = 5_000;

export class CorrectedClock {
  offsetMs = 0;
  private readonly ports: Pick<Ports, 'now'>;

  constructor(ports: Pick<Ports, 'now'>, offsetMs: number) {
    this.ports = ports;
    this.restore(offsetMs);
  }

  /** The offset as it was kept; what is no whole number was never measured. */
  restore(kept: unknown): void {
    this.offsetMs = Number.isSafeInteger(kept) ? (kept as number) : 0;
  }

  now(): number {
    return this.ports.now() + this.offsetMs;
  }

  /** Takes the centre's clock from an answer to what was sent at `sentMs`. True when the offset changed. */
  measure(sentMs: number, serverNowMs: number): boolean {
    const receivedMs = this.ports.now();
    if (!Number.isSafeInteger(serverNowMs)) return false;
    if (receivedMs < sentMs || receivedMs - sentMs > ROUND_TRIP_MS_MAX) return false;
    return this.take(sentMs, receivedMs, serverNowMs);
  }

  /** The centre found this clock far ahead: a rough measure is better than none. True when the offset changed. */
  reset(sentMs: number, receivedMs: number, serverNowMs: number): boolean {
    return this.take(Math.min(sentMs, receivedMs), receivedMs, serverNowMs);
  }

  private take(sentMs: number, receivedMs: number, serverNowMs: number): boolean {
    const offsetMs = serverNowMs - Math.floor((sentMs + receivedMs) / 2);
    if (offsetMs === this.offsetMs) return false;
    this.offsetMs = offsetMs;
    return true;
  }
}
