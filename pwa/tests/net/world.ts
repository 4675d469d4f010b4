/** A world without a network, a real clock or a browser: fake ports, and a centre that answers from a script. */

import { webcrypto } from 'node:crypto';
import { IDBKeyRange } from 'fake-indexeddb';
import { vi } from 'vitest';
import type { EnrolReply, Mutation, Page, Proof, Row, SyncReply, Value, Verdict } from '../../src/core/contract.ts';
import { dotOf, hashOf, signingText } from '../../src/core/mutation.ts';
import { utf8 } from '../../src/core/sha256.ts';
import { ENTITIES } from '../../src/core/entities.ts';
import { Device } from '../../src/net/device.ts';
import { gunzipInBrowser, type Happening, type Ports, type Socket } from '../../src/net/ports.ts';
import { Disk, REPLICA, T, page, reply, row, verdict } from '../store/world.ts';

/** Waits until something holds; no fixed time passes. */
export const until = (holds: () => void): Promise<void> => vi.waitFor(holds, { interval: 1, timeout: 4_000 });

/** Time that only moves when told to. */
export class Time {
  nowMs = T;
  private timers: { at: number; work: () => void }[] = [];

  later = (ms: number, work: () => void): (() => void) => {
    const timer = { at: this.nowMs + ms, work };
    this.timers.push(timer);
    return () => void (this.timers = this.timers.filter((one) => one !== timer));
  };

  /** Moves on, and calls what is due in order. */
  pass(ms: number): void {
    const end = this.nowMs + ms;
    for (let next = this.next(end); next; next = this.next(end)) {
      this.timers = this.timers.filter((one) => one !== next);
      this.nowMs = next.at;
      next.work();
    }
    this.nowMs = end;
  }

  /** How long until the next timer. */
  get wait(): number {
    return Math.min(...this.timers.map((one) => one.at)) - this.nowMs;
  }

  private next(end: number): { at: number; work: () => void } | undefined {
    return this.timers.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0];
  }
}

export class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  sent: string[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.closed = true;
  }

  say(frame: unknown): void {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }
}

/** Locks as a browser keeps them: one holder a name, the next in line after it. */
class Locks {
  private line: (() => void)[] = [];
  private held = false;

  request = (async (_name: string, work: () => Promise<void>): Promise<void> => {
    if (this.held) await new Promise<void>((resolve) => this.line.push(resolve));
    this.held = true;
    await work();
    this.held = false;
    this.line.shift()?.();
  }) as unknown as LockManager['request'];
}

export interface Asked {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Value;
}

type Answer = (asked: Asked) => Response | Promise<Response>;

export const json = (value: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(value), { status, headers });

export const problem = (status: number, code: string): Response => json({ code, zh: '', en: '', detail: null }, status);

export class World {
  readonly time = new Time();
  readonly disk = new Disk();
  readonly sockets: FakeSocket[] = [];
  readonly asked: Asked[] = [];
  chance = 0;
  isVisible = true;
  reachable = true;
  answer: Answer = () => problem(404, 'not_found');
  private readonly locks = new Locks();
  private readonly hearing: [Happening, () => void][] = [];
  private drawn = 0;

  ports(): Ports {
    return {
      now: () => this.time.nowMs,
      random: () => this.chance,
      randomBytes: (count) => {
        const drawn = this.drawn++;
        return Uint8Array.from({ length: count }, (_, i) =>
          i < count - 4 ? i : (drawn >> (8 * (count - 1 - i))) % 256,
        );
      },
      fetch: (path, init) => this.fetched(path, init),
      socket: () => {
        const socket = new FakeSocket();
        this.sockets.push(socket);
        return socket;
      },
      subtle: webcrypto.subtle as unknown as SubtleCrypto,
      locks: this.locks,
      channel: () => this.disk.tabs.channel(),
      later: this.time.later,
      frame: (work) => queueMicrotask(work),
      visible: () => this.isVisible,
      on: (happening, listener) => {
        this.hearing.push([happening, listener]);
        return () => undefined;
      },
      shrink: async (picture, edgeMax) => picture.slice(0, edgeMax, 'image/jpeg'),
      gunzip: gunzipInBrowser,
      secure: true,
      database: { indexedDB: this.disk.indexedDB, IDBKeyRange: IDBKeyRange as never },
    };
  }

  happen(happening: Happening): void {
    for (const [name, listener] of this.hearing) if (name === happening) listener();
  }

  open(): Promise<Device> {
    return Device.open({ name: 'test', ports: this.ports() });
  }

  private async fetched(path: string, init: RequestInit): Promise<Response> {
    const { method = 'GET', headers, body } = init;
    const asked = { method, path, headers: headers as Record<string, string>, body: body as Value };
    this.asked.push(asked);
    if (!this.reachable) throw new TypeError('Failed to fetch');
    const answered = await Promise.race([this.answer(asked), aborted(init.signal)]);
    return answered;
  }
}

function aborted(signal?: AbortSignal | null): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
  });
}

export const enrolReply = (part: Partial<EnrolReply> = {}): EnrolReply => ({
  realm: 'realm-1',
  centre: 'c1',
  centre_name: '指挥中心',
  epoch: 'e1',
  replica: REPLICA,
  token: 'secret-token',
  session: 's1',
  actor: 'p1',
  actor_name: '王',
  unit: 'u1',
  unit_name: '一队',
  kind: 'phone',
  roles: ['responder'],
  scopes: ['directory', 'unit/u1'],
  now: T,
  ...part,
});

export interface SyncAsked {
  epoch: string;
  runs: { lane: number; sig: string; mutations: Mutation[] }[];
  bad: [string, number][];
  offers: Proof[];
  seen: Row[];
  cursors: Record<string, Record<string, number>>;
  lanes: number[] | null;
  outbox: { count: number; oldest: number | null };
}

/** The usual centre: enrols, applies what comes, and answers a sync with what the test laid ready. */
export class Centre {
  key: CryptoKey | null = null;
  enrolled: Partial<EnrolReply> = {};
  syncs: SyncAsked[] = [];
  bodies: string[] = [];
  pushed: Mutation[] = [];
  log: Row[] = [];
  seq = 10;
  verdictOf: (mutation: Mutation) => Partial<Verdict> = () => ({});
  /** Called with each sync; what it gives is laid over an answer in which all lanes are complete. */
  next: (asked: SyncAsked) => Partial<SyncReply> | Promise<Partial<SyncReply>> = () => ({});

  constructor(world: World) {
    world.answer = (asked) => this.answer(asked);
  }

  async answer({ path, body, headers }: Asked): Promise<Response> {
    if (path === '/v1/enrol') return this.enrol(JSON.parse(body));
    if (path !== '/v1/sync') return problem(404, 'not_found');
    if (headers.Authorization !== 'Bearer secret-token') return problem(401, 'unauthenticated');
    const asked: SyncAsked = JSON.parse(body);
    this.syncs.push(asked);
    this.bodies.push(body);
    const verdicts = (await Promise.all(asked.runs.map((run) => this.judge(run, body)))).flat();
    const every = [0, 1, 2, 3, 4];
    const complete = { directory: asked.lanes ?? every, 'unit/u1': asked.lanes ?? every };
    const more = await this.next(asked);
    const pages = [...(more.pages ?? []), ...this.echo(asked)];
    return json(reply({ complete, upto: this.seq, ...more, verdicts: [...verdicts, ...(more.verdicts ?? [])], pages }));
  }

  /** What was applied comes back as rows of the unit's scope. */
  private echo({ cursors, lanes }: SyncAsked): Page[] {
    const wanted = (row: Row, lane: number): boolean => row.seq > (cursors['unit/u1']?.[lane] ?? 0);
    return (lanes ?? [0, 1]).flatMap((lane) => {
      const rows = this.log.filter((row) => ENTITIES[row.entity]!.lane === lane && wanted(row, lane));
      return rows.length ? [page('unit/u1', lane, this.seq, rows)] : [];
    });
  }

  private note(mutation: Mutation, dot: string, seq: number): void {
    for (const { op, entity, id, fields } of mutation.changes) {
      const { stamp, actor } = mutation;
      if (op === 'create') this.log.push({ ...row(entity, id, seq, fields), dot, stamp, actor });
    }
  }

  private async enrol({ key }: { key: string }): Promise<Response> {
    const raw = Buffer.from(key, 'base64url');
    const kind = { name: 'ECDSA', namedCurve: 'P-256' };
    this.key = (await webcrypto.subtle.importKey('raw', raw, kind, true, ['verify'])) as CryptoKey;
    return json(enrolReply(this.enrolled));
  }

  /** Checks the signature over the exact bytes, as they stand in the body. */
  private async judge(run: SyncAsked['runs'][number], body: string): Promise<Verdict[]> {
    const raws = run.mutations.map((mutation) => JSON.stringify(mutation));
    if (!raws.every((raw) => body.includes(raw))) throw new Error('the bytes are not in the body');
    const last = run.mutations[run.mutations.length - 1]!;
    const text = signingText(last.realm, last.replica, last.lane, last.n, hashOf(raws[raws.length - 1]!));
    const signature = Buffer.from(run.sig, 'base64url');
    const good = await webcrypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, this.key!, signature, utf8(text));
    if (!good) throw new Error('the signature does not fit');
    return run.mutations.map((mutation, i) => {
      const dot = dotOf(mutation.replica, mutation.lane, mutation.n);
      this.pushed.push(mutation);
      const given = { ...verdict(dot, hashOf(raws[i]!), ++this.seq), ...this.verdictOf(mutation) };
      if (given.verdict === 'applied') this.note(mutation, dot, given.seq);
      return given;
    });
  }
}

/** An enrolled device that has synced once. */
export async function enrolled(world = new World(), centre = new Centre(world)): Promise<[Device, Centre, World]> {
  const device = await world.open();
  await device.enrol('1234-5678', '王的手机');
  await until(() => {
    if (device.status.lastSync === null || device.status.syncing) throw new Error('not synced yet');
  });
  return [device, centre, world];
}
