/** Digests of what a replica holds: sums in which order is nothing, so that copies compare. */

import { canonical } from './canonical.ts';
import type { Row } from './contract.ts';
import { sha256, utf8 } from './sha256.ts';

const BITS = 64;

/**
 * The first 8 bytes of SHA-256 over the row's canonical JSON, big-endian. Seq, arrival and provisional mark are left
 * out: they differ between copies of the same row.
 */
export function rowDigest(row: Row): bigint {
  const { actor, dot, fields, home, open, stamp, writes } = row;
  const text = canonical([row.entity, row.id, { actor, dot, fields, home, open, stamp, writes }]);
  return new DataView(sha256(utf8(text)).buffer).getBigUint64(0);
}

/** Removed and provisional rows are in no sum. */
export function counts(row: Row): boolean {
  return !row.removed && !row.provisional;
}

/** What the row adds to the sum of each pair that it is in. */
export function digestOf(row: Row): bigint {
  return counts(row) ? rowDigest(row) : 0n;
}

/** The sum of a pair, mod 2^64. */
export function total(digests: Iterable<bigint>): bigint {
  let sum = 0n;
  for (const digest of digests) sum += digest;
  return BigInt.asUintN(BITS, sum);
}

/** Lower-case hex without leading zeros, as the wire has it. */
export function asText(sum: bigint): string {
  return BigInt.asUintN(BITS, sum).toString(16);
}

/** The sum that `asText` wrote. */
export function ofText(text: string): bigint {
  return BigInt(`0x${text}`);
}
