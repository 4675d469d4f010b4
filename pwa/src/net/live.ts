/** The open line to the centre: pokes come in, nothing of worth goes out. Without it the timer polls. */

import type { Cursors, Poke } from '../core/contract.ts';
import { backoffMs } from './backoff.ts';
import type { Ports, Socket } from './ports.ts';

export const HEARTBEAT_MS = 15_000;
/** This long without a frame, and the line is taken for dead. */
export const SILENCE_MS_MAX = 2 * HEARTBEAT_MS;

export interface LiveParts {
  ports: Pick<Ports, 'socket' | 'later' | 'now' | 'random'>;
  /** Who connects; null while nobody is enrolled. */
  hello: () => { token: string; replica: string } | null;
  /** (scope, lane) stands at seq at the centre. */
  moved: (scope: string, lane: number, seq: number) => void;
  /** Any frame came. */
  heard: () => void;
  /** The line opened or closed. */
  changed: () => void;
}

export class Live {
  /** The centre has greeted this device on the present line. */
  up = false;
  private readonly parts: LiveParts;
  private socket: Socket | null = null;
  private tries = 0;
  private heardAt = 0;
  private wanted = false;
  private cancel: () => void = () => undefined;

  constructor(parts: LiveParts) {
    this.parts = parts;
  }

  start(): void {
    this.wanted = true;
    if (!this.socket) this.connect();
  }

  stop(): void {
    this.wanted = false;
    this.cancel();
    this.drop();
  }

  /** The network may be there again: try now instead of later. */
  retry(): void {
    this.tries = 0;
    if (this.wanted && !this.socket) this.connect();
  }

  /** The line looks open and is not: a request just failed. */
  restart(): void {
    if (this.socket) this.closed(this.socket);
  }

  private connect(): void {
    this.cancel();
    const hello = this.parts.hello();
    if (!hello) return;
    let socket: Socket;
    try {
      socket = this.parts.ports.socket('/v1/live');
    } catch {
      return this.again();
    }
    this.socket = socket;
    this.heardAt = this.parts.ports.now();
    socket.onopen = () => socket.send(JSON.stringify(hello));
    socket.onmessage = (event) => this.hear(socket, event.data);
    socket.onclose = () => this.closed(socket);
    socket.onerror = () => this.closed(socket);
    this.beat(socket);
  }

  private hear(socket: Socket, data: unknown): void {
    if (socket !== this.socket) return;
    this.heardAt = this.parts.ports.now();
    this.parts.heard();
    if (data === 'pong' || typeof data !== 'string') return;
    const frame = parsed(data);
    if (frame?.hello) this.greeted(frame.hello.scopes ?? {});
    else if (frame?.scope !== undefined) this.parts.moved(frame.scope, frame.lane ?? 0, frame.seq ?? 0);
  }

  private greeted(scopes: Cursors): void {
    this.up = true;
    this.tries = 0;
    this.parts.changed();
    for (const [scope, lanes] of Object.entries(scopes)) {
      for (const [lane, seq] of Object.entries(lanes)) this.parts.moved(scope, Number(lane), seq);
    }
  }

  private beat(socket: Socket): void {
    this.cancel = this.parts.ports.later(HEARTBEAT_MS, () => {
      if (socket !== this.socket) return;
      if (this.parts.ports.now() - this.heardAt >= SILENCE_MS_MAX) return this.closed(socket);
      if (this.up) socket.send('ping');
      this.beat(socket);
    });
  }

  private closed(socket: Socket): void {
    if (socket !== this.socket) return;
    this.cancel();
    this.drop();
    if (this.wanted) this.again();
  }

  private drop(): void {
    const { socket } = this;
    this.socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close();
    }
    if (this.up) {
      this.up = false;
      this.parts.changed();
    }
  }

  private again(): void {
    const { later, random } = this.parts.ports;
    this.cancel = later(backoffMs(this.tries++, random()), () => this.connect());
  }
}

/** Null for what is no frame of ours: somebody between here and the centre spoke. */
function parsed(data: string): ({ hello?: { scopes?: Cursors } } & Partial<Poke>) | null {
  try {
    const frame: unknown = JSON.parse(data);
    return typeof frame === 'object' ? frame : null;
  } catch {
    return null;
  }
}
