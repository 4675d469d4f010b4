/** Writing from a screen: what went wrong is said in the words of the code, and an edit can be taken back. */
import { basesOf } from '../../../core/replica.ts';
import { keyOf, splitKey } from '../../../core/rows.ts';
import type { EntityName } from '../../../core/entities.ts';
import type { Change, IntentName, Row, WriteOptions } from '../../../net/types.ts';
import { app } from '../../app-state.svelte.ts';
import { saveFailure } from '../../shell/failure.ts';
import { basedOn, inverseOf, stands } from './register.ts';

class Acts {
  /** Why the last write did not happen, in words; empty when it did. */
  problem = $state('');

  /** Do it. False when it could not be kept, and `problem` says why. */
  async run(write: () => Promise<unknown>): Promise<boolean> {
    try {
      await write();
      this.problem = '';
      return true;
    } catch (error) {
      this.problem = saveFailure(error);
      return false;
    }
  }

  write(intent: IntentName, changes: Change[], options: WriteOptions = {}): Promise<boolean> {
    return this.run(() => app.device!.write(intent, changes, options));
  }

  /**
   * Write an edit, based on the rows that the person saw, and offer to take it back. The inverse follows this edit
   * alone, so that what others write meanwhile is beside it, never under it; once they have, there is nothing to take
   * back.
   */
  async edit(intent: IntentName, changes: Change[], text: string, seen: readonly Row[]): Promise<boolean> {
    const device = app.device!;
    const rowOf = (key: string): Row | null => device.row(...(splitKey(key) as [EntityName, string]));
    const before = new Map(changes.map(({ entity, id }) => [keyOf(entity, id), rowOf(keyOf(entity, id))]));
    const inverse = inverseOf(
      changes,
      (key) => before.get(key) ?? null,
      () => device.newId(),
    );
    const base = basesOf(changes, (key) => seen.find((row) => keyOf(row.entity, row.id) === key) ?? null);
    let dot = '';
    if (!(await this.run(async () => (dot = await device.write(intent, changes, { base }))))) return false;
    const edit = { changes, dot, base };
    const holds = () => stands(edit, rowOf);
    const run = () => holds() && void this.write(intent, inverse, { base: basedOn(inverse, edit) });
    app.say(text, { run, holds });
    return true;
  }
}

export const acts = new Acts();
