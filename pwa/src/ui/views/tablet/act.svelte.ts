/** Writing from a screen: what went wrong is said in the words of the code, and an edit can be taken back. */

import { Refusal } from '../../../core/mutation.ts';
import type { Change, IntentName, WriteOptions } from '../../../net/types.ts';
import { app } from '../../app-state.svelte.ts';
import { say, sayCode } from '../../words.svelte.ts';
import { inverseOf } from './register.ts';

interface Done {
  text: string;
  undo: (() => void) | null;
}

class Acts {
  /** Why the last write did not happen, in words; empty when it did. */
  problem = $state('');
  /** What was just done, for the toast. */
  done = $state.raw<Done | null>(null);

  /** Do it. False when it could not be kept, and `problem` says why. */
  async run(write: () => Promise<unknown>): Promise<boolean> {
    try {
      await write();
      this.problem = '';
      return true;
    } catch (error) {
      this.problem = error instanceof Refusal ? sayCode('error', error.code) : say('app.done.failed');
      return false;
    }
  }

  write(intent: IntentName, changes: Change[], options: WriteOptions = {}): Promise<boolean> {
    return this.run(() => app.device!.write(intent, changes, options));
  }

  /** Write an edit and offer to take it back; the inverse is an edit like any other. */
  async edit(intent: IntentName, changes: Change[], text: string): Promise<boolean> {
    const device = app.device!;
    const before = new Map(changes.map(({ entity, id }) => [`${entity}/${id}`, device.row(entity as never, id)]));
    const inverse = inverseOf(
      changes,
      (key) => before.get(key) ?? null,
      () => device.newId(),
    );
    if (!(await this.write(intent, changes))) return false;
    this.done = { text, undo: () => void this.write(intent, inverse) };
    return true;
  }
}

export const acts = new Acts();
