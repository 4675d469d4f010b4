/** Pages as they lie on disk: rows closed, with what must be known of them while they are. */

import type { Page, Row } from '../core/contract.ts';
import { asText, digestOf } from '../core/digest.ts';
import { dotOfProof, provenKeys } from '../core/epoch.ts';
import { lateVerdict } from '../core/replica.ts';
import { keyOf, photosNamed, wholeRow, type Key } from '../core/rows.ts';
import { sealAll, type Body } from './codec.ts';
import type { Closed, ProofRecord, StagedRecord } from './database.ts';

export function closed(row: Row, body: Body): Closed {
  const photos = photosNamed(row.entity, row.fields).map((photo) => photo?.sha256);
  return {
    key: keyOf(row.entity, row.id),
    seq: row.seq,
    digest: asText(digestOf(row)),
    photos: [...new Set(photos.filter((sha256): sha256 is string => typeof sha256 === 'string'))],
    body,
  };
}

/** False for what a broken disk gave back instead of the row of this key. */
export function isRow(row: Row | undefined, key: Key): row is Row {
  if (typeof row !== 'object' || row === null) return false;
  const { entity, id, fields } = row;
  return typeof fields === 'object' && fields !== null && keyOf(entity, id) === key;
}

/** The page as it is staged. Proofs that are not what they say are left out. */
export async function closedPage(page: Page, part: string | null = null): Promise<StagedRecord> {
  const rows = page.rows.map(wholeRow);
  const bodies = await sealAll(rows);
  return {
    scope: page.scope,
    lane: page.lane,
    rows: rows.map((row, i) => closed(row, bodies[i]!)),
    out: (page.out ?? []).map(([entity, id]) => keyOf(entity, id)),
    late: rows.filter((row) => row.entity === 'verdict').map(lateVerdict),
    proofs: proofsOf(page, rows),
    part,
  };
}

/** A mutation's own seq is not told, but no row that it touched can be older. */
function proofsOf(page: Page, rows: readonly Row[]): ProofRecord[] {
  if (!page.proofs?.length) return [];
  const seqs = new Map(rows.map((row) => [keyOf(row.entity, row.id), row.seq]));
  return page.proofs.flatMap((proof) => {
    const keys = provenKeys(proof);
    if (!keys) return [];
    const known = keys.flatMap((key) => seqs.get(key) ?? []);
    return [{ dot: dotOfProof(proof), seq: Math.min(page.next, ...known), keys, proof }];
  });
}
