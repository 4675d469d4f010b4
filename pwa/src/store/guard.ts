/**
 * Every call to the database goes through here. Some browsers drop the connection after the app was in the
 * background: the call is tried once more on a new connection, and a second failure is told to the person. Where the
 * disk is full, copies of what lies at the centre go before anything that a person wrote is turned away.
 */

import type { BlobState, Database } from './database.ts';

/** `NotFoundError`: a table is missing, for the browser has thrown the database away in part. */
const LOST = new Set(['DatabaseClosedError', 'UnknownError', 'InvalidStateError', 'NotFoundError']);

/** The database failed twice in a row: nothing can be saved until the app is opened again. */
export class StoreLost extends Error {
  readonly cause: unknown;

  constructor(cause: unknown) {
    super('the database was lost');
    this.name = 'StoreLost';
    this.cause = cause;
  }
}

/** The disk is full, and no copy is left that could make room: nothing was saved. */
export class StoreFull extends Error {
  readonly cause: unknown;

  constructor(cause: unknown) {
    super('the disk is full');
    this.name = 'StoreFull';
    this.cause = cause;
  }
}

export class Guard {
  /** The last call failed on two connections, or the database was deleted. */
  lost = false;
  /** Another tab has opened a newer database; this one must reload. */
  outdated = false;
  private gone = false;
  private readonly database: Database;
  private readonly changed: () => void;

  constructor(database: Database, changed: () => void) {
    this.database = database;
    this.changed = changed;
    database.on('versionchange', ({ newVersion }) => {
      database.close();
      // Deleted under the app: opening it again would make an empty one, as if nothing had ever been saved.
      if (newVersion === null) this.lost = this.gone = true;
      else this.outdated = true;
      changed();
      return false;
    });
  }

  /** The answer of `work`, tried at most twice. */
  async run<T>(work: (database: Database) => Promise<T>): Promise<T> {
    try {
      if (!this.database.isOpen()) await this.open();
      return this.well(await work(this.database));
    } catch (error) {
      if (isFull(error)) return this.afterMakingRoom(work, error);
      if (!isLost(error)) throw error;
      return this.again(work, error);
    }
  }

  /** Photos fetched to be looked at go first, then copies of own ones that the centre has. */
  private async afterMakingRoom<T>(work: (database: Database) => Promise<T>, first: unknown): Promise<T> {
    let full = first;
    for (const state of COPIES) {
      if (!(await makeRoom(this.database, state))) continue;
      try {
        return this.well(await work(this.database));
      } catch (error) {
        if (!isFull(error)) throw error;
        full = error;
      }
    }
    throw new StoreFull(full);
  }

  private async again<T>(work: (database: Database) => Promise<T>, first: unknown): Promise<T> {
    if (this.outdated || this.gone) throw new StoreLost(first);
    try {
      this.database.close();
      await this.open();
      return this.well(await work(this.database));
    } catch (error) {
      if (!isLost(error)) throw error;
      this.lost = true;
      this.changed();
      throw new StoreLost(error);
    }
  }

  private async open(): Promise<void> {
    if (this.gone) throw new StoreLost('deleted');
    if (this.outdated) throw new StoreLost('outdated');
    await this.database.open();
  }

  private well<T>(answer: T): T {
    if (this.lost && !this.gone) {
      this.lost = false;
      this.changed();
    }
    return answer;
  }
}

const COPIES: readonly BlobState[] = ['fetched', 'sent'];

/** How many photos of this state were deleted. */
function makeRoom({ blobs }: Database, state: BlobState): Promise<number> {
  return blobs.where('state').equals(state).delete();
}

interface Wrapped {
  name?: string;
  inner?: unknown;
  cause?: unknown;
  failures?: unknown;
}

/** Dexie wraps what the browser threw, sometimes twice, and lists what failed in bulk. */
export function isFull(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 4) return false;
  const { name, inner, cause, failures } = error as Wrapped;
  const within = [inner, cause, ...(Array.isArray(failures) ? failures.slice(0, 1) : [])];
  return name === 'QuotaExceededError' || within.some((one) => isFull(one, depth + 1));
}

function isLost(error: unknown): boolean {
  const { name = '', inner } = (error ?? {}) as { name?: string; inner?: { name?: string } };
  return LOST.has(name) || LOST.has(inner?.name ?? '');
}
