/** Whether the centre answers: known from its last sign of life, never from what the browser thinks. */

import { SILENCE_MS_MAX } from './live.ts';
import type { Ports } from './ports.ts';
import type { DeviceStatus } from './types.ts';

/** What the leading tab knows and the others show. */
export interface SharedStatus {
  heardAt: number | null;
  failed: boolean;
  syncing: boolean;
  lastSync: number | null;
  behind: boolean;
  problem: DeviceStatus['problem'];
  updateNeeded: boolean;
}

export class Connection {
  /** Device clock's ms of the centre's last sign of life. */
  heardAt: number | null = null;
  /** Nothing answered the last request. */
  failed = false;
  private readonly ports: Pick<Ports, 'now' | 'later'>;
  private readonly changed: () => void;
  private cancel: () => void = () => undefined;

  constructor(ports: Pick<Ports, 'now' | 'later'>, changed: () => void) {
    this.ports = ports;
    this.changed = changed;
  }

  /** The centre gave a sign of life just now. Silence afterwards is told once it lasts too long. */
  heard(): void {
    this.heardAt = this.ports.now();
    this.failed = false;
    this.cancel();
    this.cancel = this.ports.later(SILENCE_MS_MAX + 1, this.changed);
    this.changed();
  }

  silent(): void {
    this.failed = true;
    this.changed();
  }

  stop(): void {
    this.cancel();
  }
}
