/** The parts of a snapshot: staged one by one as they come, and one page of its pair once all are here. */

import type { Cursors, Snapshot, SnapshotFile } from '../core/contract.ts';
import { pairKey } from '../core/pairs.ts';
import { advance } from '../core/pull.ts';
import { closedPage } from './closing.ts';
import type { Database } from './database.ts';
import { readStanding } from './standing.ts';

/** SHA-256 of the parts that are here already. */
export async function partsHere(database: Database, { scope, lane }: Snapshot): Promise<Set<string>> {
  const staged = await database.staged.where('[scope+lane]').equals([scope, lane]).toArray();
  return new Set(staged.map(({ part }) => part).filter((part) => part !== null));
}

/** The rows of one part are staged, unless its pair has not begun anew. No proof is of a later seq than they are. */
export async function stagePart(database: Database, file: SnapshotFile, sha256: string): Promise<void> {
  const { scope, lane, rows, proofs } = file;
  const next = rows.reduce((newest, { seq }) => Math.max(newest, seq), 0);
  const page = await closedPage({ scope, lane, next, rows, out: [], proofs: proofs ?? [] }, sha256);
  await database.transaction('rw', [database.staged, database.meta], async () => {
    if (!(await isRestarting(database, file))) return;
    const here = database.staged.where('[scope+lane]').equals([scope, lane]);
    if (await here.filter(({ part }) => part === sha256).count()) return;
    await database.staged.add(page);
  });
}

/** Once all parts are here, they alone are staged and the pair goes on from the snapshot's seq. False while one is not. */
export async function closeSnapshot(database: Database, snapshot: Snapshot): Promise<boolean> {
  const { scope, lane, seq, parts } = snapshot;
  return database.transaction('rw', [database.staged, database.meta], async () => {
    const here = await partsHere(database, snapshot);
    if (!(await isRestarting(database, snapshot)) || !parts.every(({ sha256 }) => here.has(sha256))) return false;
    const named = new Set<string | null>(parts.map(({ sha256 }) => sha256));
    const staged = database.staged.where('[scope+lane]').equals([scope, lane]);
    await staged.filter(({ part }) => part !== null && !named.has(part)).delete();
    const cursors = await database.read<Cursors>('cursors', {});
    await database.keep('cursors', advance(cursors, scope, lane, seq));
    return true;
  });
}

async function isRestarting(database: Database, { scope, lane }: { scope: string; lane: number }): Promise<boolean> {
  return (await readStanding(database)).restarting.includes(pairKey(scope, lane));
}
