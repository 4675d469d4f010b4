/** Laws of taking: however an answer is cut into pages, and however often a pair begins anew, the state is the same. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Row } from '../../src/core/contract.ts';
import { asText, ofText, total } from '../../src/core/digest.ts';
import { Disk, databaseOf, page, reply, row, sumOf } from './world.ts';
import type { Store } from '../../src/store/store.ts';

/** One entry of a scope's log: a row as it stands at its seq, or its leaving the scope. */
interface Entry {
  id: string;
  kind: 'in' | 'out' | 'removed';
  name: string;
}

const RUNS = { numRuns: 25 };
const entries = fc.array(
  fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    kind: fc.constantFrom('in' as const, 'in' as const, 'out' as const, 'removed' as const),
    name: fc.constantFrom('一', '二', '𠮷'),
  }),
  { minLength: 1, maxLength: 12 },
);
const cuts = fc.array(fc.nat(12), { maxLength: 4 });

/** The last entry of each row, which is all that a centre still tells, in the order of their seqs. */
function lastOnes(log: Entry[]): (Entry & { seq: number })[] {
  const last = new Map<string, Entry & { seq: number }>();
  log.forEach((entry, i) => {
    last.delete(entry.id);
    last.set(entry.id, { ...entry, seq: i + 1 });
  });
  return [...last.values()];
}

const rowOf = ({ id, name, kind, seq }: Entry & { seq: number }): Row => ({
  ...row('unit', id, seq, { name }),
  removed: kind === 'removed',
});

function pageOf(scope: string, part: (Entry & { seq: number })[], next: number) {
  const rows = part.filter(({ kind }) => kind !== 'out').map(rowOf);
  const out = part.filter(({ kind }) => kind === 'out').map(({ id }): [string, string] => ['unit', id]);
  return page(scope, 2, next, rows, out);
}

/** Pulls what came after `from` in pieces, each in an answer of its own, the last of which completes the pair. */
async function pull(store: Store, log: Entry[], from: number, at: number[], scope = 'directory'): Promise<void> {
  const told = lastOnes(log).filter(({ seq }) => seq > from);
  const upto = log.length;
  const ends = [...new Set([...at.map((one) => from + (one % (upto - from + 1))), upto])].sort((a, b) => a - b);
  for (const [i, end] of ends.entries()) {
    const part = told.filter(({ seq }) => seq > (ends[i - 1] ?? from) && seq <= end);
    const complete = end === upto ? { [scope]: [2] } : {};
    await store.take(reply({ pages: [pageOf(scope, part, end)], complete, upto }));
  }
}

/** A whole pull from nothing: no leaving and no removed rows are told. */
async function pullAnew(store: Store, log: Entry[], at: number[], scope = 'directory'): Promise<void> {
  const present = lastOnes(log).filter(({ kind }) => kind === 'in');
  const upto = log.length;
  const ends = [...new Set([...at.map((one) => one % (upto + 1)), upto])].sort((a, b) => a - b);
  for (const [i, end] of ends.entries()) {
    const part = present.filter(({ seq }) => seq > (ends[i - 1] ?? 0) && seq <= end);
    const more = { complete: end === upto ? { [scope]: [2] } : {}, restart: i ? [] : [[scope, 2]] } as object;
    await store.take(reply({ pages: [pageOf(scope, part, end)], upto, ...more }));
  }
}

async function stateOf(store: Store): Promise<object> {
  const { rows, staged } = databaseOf(store);
  const kept = (await rows.toArray()).filter(({ body }) => !body.removed);
  const held = kept.map(({ key, seq, scopes, digest, body }) => ({ key, seq, scopes, digest, name: body.fields.name }));
  const shown = store.memory.rows('unit').map(({ id, fields }) => [id, fields.name]);
  return { held, shown, staged: await staged.count(), cursors: await store.cursors() };
}

/** The kept sum is the sum of what is there. */
async function checkSums(store: Store): Promise<void> {
  const records = await databaseOf(store).rows.toArray();
  for (const [pair, sum] of Object.entries(store.standing.sums)) {
    const held = records.filter(({ scopes, lane }) => scopes.some((scope) => pair === `${lane} ${scope}`));
    expect(sum).toBe(asText(total(held.map(({ digest }) => ofText(digest)))));
  }
}

test('pages in any pieces give the same state', async () => {
  await fc.assert(
    fc.asyncProperty(entries, cuts, fc.nat(12), async (log, at, first) => {
      const [one, many] = [await new Disk().store(), await new Disk().store()];
      const half = log.slice(0, first % (log.length + 1));
      if (half.length) for (const store of [one, many]) await pull(store, half, 0, []);
      await pull(one, log, half.length, []);
      await pull(many, log, half.length, at);
      expect(await stateOf(many)).toEqual(await stateOf(one));
      await checkSums(many);
    }),
    RUNS,
  );
});

test('a pair that begins anew is as if it had been pulled for the first time', async () => {
  await fc.assert(
    fc.asyncProperty(entries, cuts, entries, async (log, at, before) => {
      const [fresh, anew] = [await new Disk().store(), await new Disk().store()];
      await pullAnew(fresh, log, []);
      await pull(anew, before.slice(0, log.length), 0, at);
      await databaseOf(anew).rows.toCollection().modify({ seq: 0 });
      await pullAnew(anew, log, at);
      expect(await stateOf(anew)).toEqual(await stateOf(fresh));
      const present = lastOnes(log).filter(({ kind }) => kind === 'in');
      expect(anew.standing.sums['2 directory']).toBe(sumOf(...present.map(rowOf)));
      await checkSums(anew);
    }),
    RUNS,
  );
});

test('sums fit what is held under two scopes at once, whichever comes first, begins anew or is lost', async () => {
  const acts = fc.array(fc.constantFrom('directory', 'centre', 'anew directory', 'anew centre', 'lose centre'), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(entries, acts, cuts, async (log, what, at) => {
      const store = await new Disk().store();
      for (const act of what) {
        const scope = act.split(' ').pop()!;
        const from = (await store.cursors())[scope]?.['2'] ?? 0;
        if (act.startsWith('lose')) await store.take(reply({ revoked: [scope] }));
        else if (act.startsWith('anew')) await pullAnew(store, log, at, scope);
        else if (from < log.length) await pull(store, log, from, at, scope);
        await checkSums(store);
      }
    }),
    RUNS,
  );
});
