/** Requests to the centre: with the device's token, bounded in time, and with errors that have a code. */

import type { Problem } from '../core/contract.ts';
import { CODES, type Code } from '../core/intents.ts';
import type { Ports } from './ports.ts';

export const REQUEST_MS_MAX = 30_000;

/** For an answer without a code of its own. */
const BY_STATUS: Readonly<Record<number, Code>> = { 401: 'unauthenticated', 403: 'forbidden' };

/** The centre answered, and said no. */
export class ProblemError extends Error {
  readonly code: Code;
  readonly status: number;
  readonly detail: string | null;

  constructor(status: number, problem: Problem | null) {
    const code = knownCode(problem?.code) ?? BY_STATUS[status] ?? 'internal';
    super(`${status} ${code}`);
    this.name = 'ProblemError';
    this.code = code;
    this.status = status;
    this.detail = problem?.detail ?? null;
  }
}

/** Nobody answered in time, or what answered was not the centre. */
export class Unreachable extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'Unreachable';
  }
}

function knownCode(code: unknown): Code | null {
  return (CODES as readonly unknown[]).includes(code) ? (code as Code) : null;
}

export interface Call {
  method: string;
  path: string;
  body?: BodyInit;
  headers?: Record<string, string>;
  timeoutMs?: number;
  signal?: AbortSignal;
}

export class Api {
  token: string | null = null;
  /** Called with the device clock's time whenever the centre answered anything. */
  onAnswer: (nowMs: number) => void = () => undefined;
  private readonly ports: Pick<Ports, 'fetch' | 'later' | 'now'>;

  constructor(ports: Pick<Ports, 'fetch' | 'later' | 'now'>) {
    this.ports = ports;
  }

  /** The answer as `read` takes it from the text; whatever `read` throws means that nobody answered. */
  async json<T>(call: Call, read: (text: string) => T = JSON.parse): Promise<T> {
    const headers = { 'Content-Type': 'application/json', ...call.headers };
    return this.ask({ ...call, headers }, async (response) => read(await response.text()));
  }

  /**
   * The answer as `read` takes it from a success; the time is bounded until the last byte was read.
   * Throws ProblemError when the centre refused, Unreachable when nothing that speaks for it answered.
   */
  async ask<T>(call: Call, read: (response: Response) => Promise<T> | T): Promise<T> {
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    const calledOff = this.ports.later(call.timeoutMs ?? REQUEST_MS_MAX, stop);
    call.signal?.addEventListener('abort', stop);
    try {
      const response = await this.ports.fetch(call.path, this.init(call, abort.signal));
      if (!response.ok) throw new ProblemError(response.status, await problemOf(response));
      const answer = await read(response);
      this.onAnswer(this.ports.now());
      return answer;
    } catch (error) {
      if (!(error instanceof ProblemError)) throw new Unreachable(String(error));
      this.onAnswer(this.ports.now());
      throw error;
    } finally {
      calledOff();
      call.signal?.removeEventListener('abort', stop);
    }
  }

  private init(call: Call, signal: AbortSignal): RequestInit {
    const headers: Record<string, string> = { ...call.headers };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    return { method: call.method, body: call.body ?? null, headers, signal, cache: 'no-store', credentials: 'omit' };
  }
}

async function problemOf(response: Response): Promise<Problem | null> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return null; // A proxy answered, in its own words.
  }
}
