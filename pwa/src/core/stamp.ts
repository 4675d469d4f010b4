/** Hybrid logical clock. A stamp breaks ties between concurrent writes; it never decides order. */

export const COUNTER_MAX = 0xffff;

/** When a write was made: corrected wall clock (ms, UTC), then counter, then replica. */
export interface Stamp {
  wallMs: number;
  counter: number;
  replica: string;
}

/** Fixed-width ASCII, so that Python, JavaScript and SQL compare two stamps alike. */
export function encodeStamp(stamp: Stamp): string {
  const wall = stamp.wallMs.toString(16).padStart(12, '0');
  return `${wall}-${stamp.counter.toString(16).padStart(4, '0')}-${stamp.replica}`;
}

const SHAPE = /^([0-9a-f]{12})-([0-9a-f]{4})-([^]+)$/;

/** The stamp that `encodeStamp` wrote; null when it is not one. */
export function decodeStamp(text: string): Stamp | null {
  const found = SHAPE.exec(text);
  if (!found) return null;
  return { wallMs: parseInt(found[1]!, 16), counter: parseInt(found[2]!, 16), replica: found[3]! };
}

/** Stamp a local write. Never fails: a phone whose clock jumped back must still save. */
export function nextStamp(last: Stamp, nowMs: number): Stamp {
  if (nowMs > last.wallMs) return { wallMs: nowMs, counter: 0, replica: last.replica };
  if (last.counter < COUNTER_MAX) return { ...last, counter: last.counter + 1 };
  return { wallMs: last.wallMs + 1, counter: 0, replica: last.replica };
}

/** The centre's clock, once told, is the least that the next stamp may show. */
export function notBelow(own: Stamp, nowMs: number): Stamp {
  return own.wallMs < nowMs ? startAt(own, nowMs) : own;
}

/** The clock begins anew at the centre's: it was so far ahead that its stamps were not taken. */
export function startAt(own: Stamp, nowMs: number): Stamp {
  return { wallMs: nowMs, counter: 0, replica: own.replica };
}
