/** Mutations as bytes: dots, hashes, the chain of one lane, and what a signature covers. */

import { CHANGES_PER_MUTATION_MAX, LANES, type Change, type Mutation } from './contract.ts';
import { holds, isAscii, isPlain } from './fields.ts';
import { sha256Hex } from './sha256.ts';
import { decodeStamp } from './stamp.ts';
import { ENTITIES, type EntitySpec } from './entities.ts';
import { INTENTS, type Code } from './intents.ts';

/** `prev` of the first mutation of a lane. */
export const FIRST_PREV = '';
/** The intent of a mutation that stands in for one whose words were lost on this device. */
export const VOID = 'lane.void';
const ID_LENGTH_MAX = 64;

/** Why a mutation cannot stand; `detail` names the field or row, for the person to see. */
export class Refusal extends Error {
  readonly code: Code;
  readonly detail: string | null;

  constructor(code: Code, detail: string | null = null) {
    super(detail === null ? code : `${code}: ${detail}`);
    this.name = 'Refusal';
    this.code = code;
    this.detail = detail;
  }
}

/** `replica/lane/n`: the identity of a mutation, and of every write in it. */
export function dotOf(replica: string, lane: number, n: number): string {
  return `${replica}/${lane}/${n}`;
}

const DOT = /^([^]*)\/(\d+)\/(\d+)$/;

/** `[replica, lane, n]` of a dot. Throws when it is not one. */
export function splitDot(dot: string): [string, number, number] {
  const found = DOT.exec(dot);
  if (!found) throw new Error(`not a dot: ${dot}`);
  return [found[1]!, Number(found[2]), Number(found[3])];
}

/** The exact text that is hashed, saved and sent; half a surrogate pair becomes U+FFFD, for UTF-8 has none. */
export function encodeMutation(m: Mutation): string {
  const { replica, lane, n, prev, realm, stamp, session, actor, intent } = m;
  const changes = m.changes.map(({ op, entity, id, fields }) => ({ op, entity, id, fields }));
  const guard = m.guard.map(({ row, check, field, value }) => ({ row, check, field, value }));
  const head = { replica, lane, n, prev, realm, stamp, session, actor, intent };
  const inOrder = { ...head, changes, base: m.base, after: m.after, guard, schema: m.schema };
  return JSON.stringify(inOrder, (_name, value) =>
    typeof value === 'string' ? value.replace(/\p{Surrogate}/gu, '\ufffd') : value,
  );
}

/** What the signature of a run covers: through `prev`, its last hash proves all before it. */
export function signingText(realm: string, replica: string, lane: number, n: number, lastHash: string): string {
  return `lingda-run-1\n${realm}\n${replica}\n${lane}\n${n}\n${lastHash}`;
}

/** The identity of a mutation's content: SHA-256 of its UTF-8 bytes. */
export function hashOf(raw: string): string {
  return sha256Hex(raw);
}

/** Throws the Refusal of the first thing that no server could ever accept. Looks at no row. */
export function checkForm(mutation: Mutation): void {
  const intent = INTENTS[mutation.intent];
  if (!intent) throw new Refusal('intent_unknown', mutation.intent);
  const lane = intent.any_lane ? mutation.lane : intent.lane;
  if (mutation.lane !== lane || !(LANES as readonly number[]).includes(lane) || mutation.n < 1) {
    throw new Refusal('wrong_lane', String(mutation.lane));
  }
  if (mutation.changes.length < 1 || mutation.changes.length > CHANGES_PER_MUTATION_MAX) {
    throw new Refusal('bad_mutation', 'changes');
  }
  if (decodeStamp(mutation.stamp)?.replica !== mutation.replica) throw new Refusal('bad_mutation', 'stamp');
  const seen = new Set<string>();
  for (const change of mutation.changes) {
    const key = `${change.entity}/${change.id}`;
    if (seen.has(key)) throw new Refusal('bad_mutation', key);
    seen.add(key);
    const entity = ENTITIES[change.entity];
    if (!entity || !(intent.writes[change.entity] ?? []).includes(change.op)) {
      throw new Refusal('intent_change', `${change.op} ${change.entity}`);
    }
    checkChange(change, entity);
    for (const [name, values] of Object.entries(intent.only[change.entity] ?? {})) {
      if (!values.includes(change.fields[name] as string)) {
        throw new Refusal('intent_change', `${change.entity}.${name}`);
      }
    }
  }
  if (mutation.intent === VOID) checkVoid(mutation);
}

/** It names the number that it takes, and nobody else's. */
function checkVoid({ replica, lane, n, changes }: Mutation): void {
  const told = changes[0]!.fields;
  if (told.replica !== replica || told.of_lane !== lane || told.n !== n) throw new Refusal('bad_void');
}

function checkChange(change: Change, entity: EntitySpec): void {
  const { id, op, fields } = change;
  if (!(0 < id.length && id.length <= ID_LENGTH_MAX && isAscii(id) && !id.includes('/'))) {
    throw new Refusal('bad_field', `${change.entity}.id`);
  }
  if (entity.fact && op !== 'create') throw new Refusal('fact_edit', change.entity);
  for (const [name, value] of Object.entries(fields)) {
    const field = entity.fields[name];
    if (!isPlain(value) || (field && !holds(field, value))) throw new Refusal('bad_field', `${change.entity}.${name}`);
  }
  if (op !== 'create') return;
  for (const [name, field] of Object.entries(entity.fields)) {
    if (field.required && (fields[name] ?? null) === null) {
      throw new Refusal('bad_field', `${change.entity}.${name}`);
    }
  }
}

/** The fields of a change that only the row's home may write. */
export function serverOnlyFields(change: Change): string[] {
  const fields = ENTITIES[change.entity]?.fields ?? {};
  return Object.keys(change.fields).filter((name) => fields[name]?.policy === 'server-only');
}
