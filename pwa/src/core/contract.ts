/** Emitted from schema/ by `python3 run.py emit`; never edit it by hand, a test would tell. */

export const PROTOCOL_VERSION = 2;
export const PROTOCOL_OLDEST = 1;
export const CONTRACT_HASH = '5ec429c671246993995b296c6e4190440ad03a3c6b843178fa3ad79bd2fc6045';
export const SCHEMA_VERSION = 2;
export const SECOND_MS = 1000;
export const MINUTE_MS = 60000;
export const LANES = [0, 1, 2, 3, 4];
export const CHANGES_PER_MUTATION_MAX = 512;
export const MUTATIONS_PER_PUSH_MAX = 500;
export const LANE_0_MUTATION_BYTES_MAX = 2048;
export const MUTATION_BYTES_MAX = 131072;
export const PUSH_BYTES_MAX = 4194304;
export const PULL_BYTES_MIN = 4096;
export const PULL_BYTES_MAX = 4194304;
export const THUMB_BYTES_MAX = 8192;
export const BLOB_BYTES_MAX = 33554432;
export const BLOB_CHUNK_BYTES_MAX = 1048576;
export const N_MAX = 2147483647;
export const SAFE_INT_MAX = 9007199254740991;
export const TIME_MS_MIN = 946684800000;
export const TIME_MS_MAX = 4102444800000;
export const LAT_E6_MAX = 90000000;
export const LON_E6_MAX = 180000000;
export const METRES_MAX = 100000000;
export const DRIFT_MS_MAX = 300000;
export const DAY_MS = 86400000;
export const HELD_MS = 432000000;
export const SENT_MS = 1209600000;
export const GONE_MS = 7776000000;

export const CODES = [
  'bad_request',
  'too_large',
  'not_found',
  'method_not_allowed',
  'unauthenticated',
  'forbidden',
  'csrf',
  'origin',
  'rate_limited',
  'internal',
  'storage',
  'protocol',
  'wrong_centre',
  'wrong_replica',
  'revoked',
  'login',
  'code_unknown',
  'code_used',
  'code_expired',
  'bad_key',
  'signature',
  'chain_broken',
  'identity_reused',
  'bad_mutation',
  'intent_unknown',
  'intent_change',
  'wrong_lane',
  'bad_field',
  'no_right',
  'not_yours',
  'actor_mismatch',
  'guard',
  'already_exists',
  'removed',
  'parent_unknown',
  'after_unmet',
  'server_only',
  'fact_edit',
  'order_not_held',
  'backdated',
  'role_cut',
  'newer_version',
  'mixed_home',
  'not_quarantined',
  'late',
  'bad_void',
  'upload_offset',
  'upload_checksum',
  'upload_gone',
  'unsupported',
] as const;
export type Code = (typeof CODES)[number];

export const TAGS = ['clock_ahead', 'before_cut', 'released', 'reoffered', 'meets_removal', 'after_close'] as const;
export type Tag = (typeof TAGS)[number];

export const POLICIES = [
  'latest',
  'fixed-once',
  'authority',
  'highest',
  'manual',
  'server-only',
  'append-only',
] as const;
export type Policy = (typeof POLICIES)[number];

export const KINDS = [
  'text',
  'texts',
  'choice',
  'int',
  'time',
  'lat',
  'lon',
  'metres',
  'bool',
  'ref',
  'photos',
  'clocks',
  'any',
] as const;
export type Kind = (typeof KINDS)[number];

export const ROLES = [
  'dispatcher',
  'shift_lead',
  'centre_head',
  'duty',
  'unit_head',
  'responder',
  'operator',
  'steward',
  'admin',
] as const;
export type Role = (typeof ROLES)[number];

export const ENTITY_NAMES = [
  'unit',
  'person',
  'incident',
  'incident_summary',
  'directive',
  'target',
  'step',
  'round',
  'recall',
  'stop',
  'ruling',
  'feedback',
  'help_call',
  'help_answer',
  'contact',
  'contact_phone',
  'equipment',
  'equipment_move',
  'conflict',
  'verdict',
  'quarantine',
  'void',
] as const;
export type EntityName = (typeof ENTITY_NAMES)[number];

export const INTENT_NAMES = [
  'incident.open',
  'incident.edit',
  'directive.issue',
  'directive.recall',
  'recall.rule',
  'target.step',
  'target.stop',
  'target.close',
  'target.send_back',
  'feedback.add',
  'help.call',
  'help.answer',
  'move.file',
  'contact.edit',
  'contact.edit_any',
  'equipment.edit',
  'conflict.decide',
  'conflict.decide_own',
  'quarantine.release',
  'quarantine.reject',
  'quarantine.close',
  'lane.void',
  'register.load',
] as const;
export type IntentName = (typeof INTENT_NAMES)[number];

export const STEPS = [
  'pending',
  'received',
  'read',
  'signed',
  'departed',
  'arrived',
  'acting',
  'reported',
  'closed',
] as const;
export type StepName = (typeof STEPS)[number];

export const UNIT_STEPS = ['received', 'read', 'signed', 'departed', 'arrived', 'acting', 'reported'] as const;
export type UnitStep = (typeof UNIT_STEPS)[number];

export const ROUTES = ['device', 'centre'] as const;
export type Route = (typeof ROUTES)[number];

export const CLOCKS = ['receipt', 'sign', 'depart', 'arrive', 'first_feedback', 'feedback_every', 'stop'] as const;
export type ClockName = (typeof CLOCKS)[number];

export const URGENCIES = ['flash', 'urgent', 'routine'] as const;
export type Urgency = (typeof URGENCIES)[number];

export const DEVICE_KIND_NAMES = ['phone', 'tablet', 'operator'] as const;
export type DeviceKindName = (typeof DEVICE_KIND_NAMES)[number];

export const SCOPE_KINDS = ['centre', 'directory', 'unit', 'register', 'actor', 'device'] as const;
export type ScopeKind = (typeof SCOPE_KINDS)[number];

/** Null, boolean, string, whole number, list or object; `fields.ts` checks it, not the compiler. */
export type Value = any;

/** `{scope: {lane: seq}}`; a lane that is not named starts at 0. */
export type Cursors = Record<string, Record<string, number>>;

/** One row's part of a mutation: `create`, `set` or `remove`. */
export interface Change {
  op: string;
  entity: string;
  id: string;
  fields: Record<string, Value>;
}

/** A condition judged at the row's home: `exists absent eq in dot` of `row` = `entity/id`. */
export interface Guard {
  row: string;
  check: string;
  field: string | null;
  value: Value;
}

/**
 * One named intent of one person; all of its changes or none. Saved as the bytes that travel.
 *
 * `(replica, lane, n)` is its dot. `base` is `{"entity/id": {field: [dots the author saw]}}`.
 */
export interface Mutation {
  replica: string;
  lane: number;
  n: number;
  prev: string;
  realm: string;
  stamp: string;
  session: string;
  actor: string;
  intent: string;
  changes: Change[];
  base: Record<string, Record<string, string[]>>;
  after: string[];
  guard: Guard[];
  schema: number;
}

/**
 * One mutation as its author signed it alone: enough to offer it again to a restored centre.
 *
 * `sig` covers the run that ends with it (see `Run`); `replica`'s public key proves it.
 */
export interface Proof {
  replica: string;
  lane: number;
  n: number;
  raw: string;
  sig: string;
}

/** A contiguous run of one lane; one signature over its last hash proves all of it. */
export interface Run {
  lane: number;
  sig: string;
  mutations: Mutation[];
}

/**
 * A row as every reader of its scope gets it.
 *
 * `dot` and `stamp` are of the write that created it. `writes` holds, of each field written since,
 * `[stamp, dot, other heads' dots…]`: an author names the dots of that list as base, or the row's
 * `dot`. `open` holds `{field: [{dot, value, actor, stamp}]}` while a person must decide. `home`
 * is the centre that alone judges it; elsewhere it is `provisional` until that centre has.
 */
export interface Row {
  entity: string;
  id: string;
  seq: number;
  dot: string;
  stamp: string;
  actor: string;
  arrived: number;
  fields: Record<string, Value>;
  writes: Record<string, string[]>;
  open: Record<string, Record<string, Value>[]>;
  removed: boolean;
  home: string;
  provisional: boolean;
}

/** What the device says still waits, so that the centre can see who is behind. */
export interface OutboxReport {
  count: number;
  oldest: number | null;
}

/**
 * One round trip: what I wrote, and where I stand.
 *
 * `bad` names pairs whose digest does not match: the answer starts them anew. After a change of
 * epoch, `offers` are foreign mutations above the fork, and `seen` rows above it that nobody's
 * signed bytes bring back.
 */
export interface SyncRequest {
  centre: string;
  epoch: string;
  replica: string;
  protocol: number;
  runs: Run[];
  cursors: Cursors;
  lanes: number[] | null;
  bad: [string, number][];
  offers: Proof[];
  seen: Row[];
  max_bytes: number;
  outbox: OutboxReport;
  clock: number;
  app: string;
}

/** What one mutation got: `applied merged held quarantined refused`, recorded for ever. */
export interface Verdict {
  dot: string;
  hash: string;
  verdict: string;
  seq: number;
  code: string | null;
  detail: string | null;
  repeat: boolean;
  tags: string[];
}

/**
 * Rows of one (scope, lane) in seq order. `next` is the cursor once they are stored.
 *
 * `proofs` are the signed bytes behind rows that a restored centre must be able to get back.
 */
export interface Page {
  scope: string;
  lane: number;
  next: number;
  rows: Row[];
  out: [string, string][];
  proofs: Proof[];
}

/** A file of rows at `/v1/snap/<sha256>`, gzip, whose hash is its name; `size` in bytes. */
export interface SnapshotPart {
  sha256: string;
  size: number;
}

/**
 * All rows of (scope, lane) as they stood at `seq`, in parts, the same bytes for everyone.
 *
 * A device fetches the parts, stages their rows, and pulls on from `seq`.
 */
export interface Snapshot {
  scope: string;
  lane: number;
  seq: number;
  parts: SnapshotPart[];
}

/** What one part holds once unpacked. */
export interface SnapshotFile {
  scope: string;
  lane: number;
  seq: number;
  rows: Row[];
  proofs: Proof[];
}

/**
 * What became of it, and what is new. `now` is the server's clock in ms since 1970 (UTC).
 *
 * `complete` names the lanes of each scope that hold all rows up to `upto` with this answer;
 * rows of any other pair are staged until a later answer completes it, and `digests` says what
 * they then must sum to. A pair in `restart` begins from nothing here: once complete it holds what
 * came since, and no row that did not. `fork` is the seq up to which the log of the request's
 * epoch and this one are the same; it is null while the epoch is the present one. `durable` is the
 * seq that survives the loss of this machine. `min_client` asks a lower protocol for an update.
 */
export interface SyncReply {
  centre: string;
  epoch: string;
  verdicts: Verdict[];
  missing: Record<string, number[]>;
  pages: Page[];
  complete: Record<string, number[]>;
  gained: string[];
  revoked: string[];
  upto: number;
  durable: number;
  now: number;
  backoff: number | null;
  snapshots: Snapshot[];
  restart: [string, number][];
  digests: Record<string, Record<string, string>>;
  fork: number | null;
  min_client: number;
}

/** The last words of a replica that may not sign in any more; `key` as at its enrolment. */
export interface LateRequest {
  centre: string;
  replica: string;
  key: string;
  runs: Run[];
}

/** What was kept, for a person to judge. */
export interface LateReply {
  verdicts: Verdict[];
  now: number;
}

/** `key` is the raw uncompressed P-256 public key (65 bytes), base64url. */
export interface EnrolRequest {
  code: string;
  key: string;
  device: string;
  app: string;
}

/** Everything a new replica needs. `token` is shown once; the server keeps only its hash. */
export interface EnrolReply {
  realm: string;
  centre: string;
  centre_name: string;
  epoch: string;
  replica: string;
  token: string;
  session: string;
  actor: string;
  actor_name: string;
  unit: string;
  unit_name: string;
  kind: string;
  roles: string[];
  scopes: string[];
  now: number;
}

/** A hint that (scope, lane) has moved from `prev` to `seq`. It carries no right and no data. */
export interface Poke {
  scope: string;
  lane: number;
  seq: number;
  prev: number;
}

/** The body of every answer that is not a success. */
export interface Problem {
  code: string;
  zh: string;
  en: string;
  detail: string | null;
}

export interface FieldSpec {
  policy: Policy;
  kind: Kind;
  required: boolean;
  /** Characters (code points) of a text, values of a list. */
  max: number;
  choices: readonly string[];
}

export interface EntitySpec {
  lane: number;
  /** Created once, never edited. */
  fact: boolean;
  parent: string | null;
  scopes: readonly string[];
  carries: readonly (readonly string[])[];
  safety: boolean;
  fields: Readonly<Record<string, FieldSpec>>;
}

export interface IntentSpec {
  lane: number;
  roles: readonly Role[];
  writes: Readonly<Record<string, readonly string[]>>;
  reach: string;
  /** `{entity: {field: values}}` where the intent allows less than the entity does. */
  only: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  /** It has the lane of the lost mutation that it stands in for, not one of its own. */
  any_lane: boolean;
}

export interface DeviceKindSpec {
  roles: readonly Role[];
  scopes: readonly string[];
}

export const RANKS: Readonly<Record<string, number>> = {
  pending: 0,
  received: 1,
  read: 2,
  signed: 3,
  departed: 4,
  arrived: 5,
  acting: 6,
  reported: 7,
  closed: 8,
};

export const CLOCK_DEFAULTS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  flash: {
    receipt: 15000,
    sign: 60000,
    depart: 300000,
    arrive: 900000,
    first_feedback: 900000,
    feedback_every: 1800000,
    stop: 120000,
  },
  urgent: {
    receipt: 60000,
    sign: 180000,
    depart: 900000,
    arrive: 1800000,
    first_feedback: 1800000,
    feedback_every: 3600000,
    stop: 300000,
  },
  routine: { receipt: 300000, sign: 1800000, first_feedback: 86400000, feedback_every: 259200000, stop: 1800000 },
};

export const DEVICE_KINDS: Readonly<Record<string, DeviceKindSpec>> = {
  phone: { roles: ['responder'], scopes: ['directory', 'unit/{unit}', 'actor/{actor}', 'device/{replica}'] },
  tablet: {
    roles: ['duty', 'unit_head', 'steward'],
    scopes: ['directory', 'unit/{unit}', 'register/{unit}', 'actor/{actor}', 'device/{replica}'],
  },
  operator: { roles: ['operator'], scopes: ['directory', 'actor/{actor}', 'device/{replica}'] },
};

export const ENTITIES: Readonly<Record<string, EntitySpec>> = {
  unit: {
    lane: 2,
    fact: false,
    parent: null,
    scopes: ['directory'],
    carries: [],
    safety: false,
    fields: {
      code: { policy: 'server-only', kind: 'text', required: true, max: 20, choices: [] },
      name: { policy: 'authority', kind: 'text', required: true, max: 60, choices: [] },
      tier: { policy: 'server-only', kind: 'choice', required: true, max: 40, choices: ['T1', 'T2', 'T3'] },
      category: { policy: 'server-only', kind: 'text', required: true, max: 10, choices: [] },
      category_name: { policy: 'server-only', kind: 'text', required: false, max: 40, choices: [] },
      gateway: { policy: 'server-only', kind: 'text', required: false, max: 10, choices: [] },
      terminal: { policy: 'server-only', kind: 'bool', required: false, max: 12, choices: [] },
      initials: { policy: 'server-only', kind: 'text', required: false, max: 60, choices: [] },
    },
  },
  person: {
    lane: 2,
    fact: false,
    parent: 'unit',
    scopes: ['centre', 'unit/{unit}', '{*shown_in}'],
    carries: [],
    safety: false,
    fields: {
      name: { policy: 'authority', kind: 'text', required: true, max: 40, choices: [] },
      post: { policy: 'authority', kind: 'text', required: false, max: 40, choices: [] },
      unit: { policy: 'server-only', kind: 'ref', required: false, max: 64, choices: [] },
      roles: { policy: 'server-only', kind: 'texts', required: false, max: 12, choices: [] },
      shown_in: { policy: 'server-only', kind: 'texts', required: false, max: 12, choices: [] },
    },
  },
  incident: {
    lane: 1,
    fact: false,
    parent: null,
    scopes: ['centre'],
    carries: [],
    safety: false,
    fields: {
      no: { policy: 'server-only', kind: 'text', required: false, max: 40, choices: [] },
      source: { policy: 'latest', kind: 'text', required: false, max: 60, choices: [] },
      state: { policy: 'latest', kind: 'choice', required: true, max: 40, choices: ['open', 'closed'] },
      note: { policy: 'latest', kind: 'text', required: false, max: 2000, choices: [] },
    },
  },
  incident_summary: {
    lane: 0,
    fact: false,
    parent: null,
    scopes: ['centre'],
    carries: [],
    safety: false,
    fields: {
      title: { policy: 'latest', kind: 'text', required: true, max: 80, choices: [] },
      category: {
        policy: 'latest',
        kind: 'choice',
        required: false,
        max: 40,
        choices: ['natural', 'accident', 'health', 'security', 'help'],
      },
      level: { policy: 'highest', kind: 'choice', required: false, max: 40, choices: ['I', 'II', 'III', 'IV'] },
      place: { policy: 'latest', kind: 'text', required: false, max: 120, choices: [] },
      lat_e6: { policy: 'latest', kind: 'lat', required: false, max: 12, choices: [] },
      lon_e6: { policy: 'latest', kind: 'lon', required: false, max: 12, choices: [] },
      accuracy_m: { policy: 'latest', kind: 'metres', required: false, max: 12, choices: [] },
    },
  },
  directive: {
    lane: 0,
    fact: true,
    parent: 'incident',
    scopes: ['centre'],
    carries: [],
    safety: false,
    fields: {
      no: { policy: 'server-only', kind: 'text', required: false, max: 40, choices: [] },
      incident: { policy: 'fixed-once', kind: 'ref', required: true, max: 64, choices: [] },
      kind: {
        policy: 'fixed-once',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['dispatch', 'help', 'requisition', 'notice', 'assigned'],
      },
      urgency: {
        policy: 'fixed-once',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['flash', 'urgent', 'routine'],
      },
      version: { policy: 'fixed-once', kind: 'int', required: true, max: 200, choices: [] },
      text: { policy: 'fixed-once', kind: 'text', required: true, max: 1000, choices: [] },
      clocks: { policy: 'fixed-once', kind: 'clocks', required: true, max: 11, choices: [] },
      close_due: { policy: 'fixed-once', kind: 'time', required: false, max: 200, choices: [] },
      at: { policy: 'fixed-once', kind: 'time', required: true, max: 200, choices: [] },
    },
  },
  target: {
    lane: 0,
    fact: true,
    parent: 'directive',
    scopes: ['centre', 'unit/{unit}'],
    carries: [
      ['directive', 'directive'],
      ['incident_summary', 'incident'],
    ],
    safety: false,
    fields: {
      directive: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      incident: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      lead: { policy: 'append-only', kind: 'bool', required: false, max: 12, choices: [] },
    },
  },
  step: {
    lane: 0,
    fact: true,
    parent: 'target',
    scopes: ['centre', 'unit/{unit}'],
    carries: [],
    safety: false,
    fields: {
      target: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      directive: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      round: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
      step: {
        policy: 'append-only',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['received', 'read', 'signed', 'departed', 'arrived', 'acting', 'reported', 'closed'],
      },
      version: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      route: { policy: 'append-only', kind: 'choice', required: true, max: 40, choices: ['device', 'centre'] },
      note: { policy: 'append-only', kind: 'text', required: false, max: 200, choices: [] },
    },
  },
  round: {
    lane: 0,
    fact: true,
    parent: 'target',
    scopes: ['centre', 'unit/{unit}'],
    carries: [],
    safety: false,
    fields: {
      target: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      directive: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      round: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
      reason: {
        policy: 'append-only',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['sent_back', 'redo', 'reopened', 'new_version'],
      },
      note: { policy: 'append-only', kind: 'text', required: true, max: 500, choices: [] },
    },
  },
  recall: {
    lane: 0,
    fact: true,
    parent: 'target',
    scopes: ['centre', 'unit/{unit}'],
    carries: [],
    safety: false,
    fields: {
      target: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      directive: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      round: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
      reason: { policy: 'append-only', kind: 'text', required: true, max: 500, choices: [] },
      rank_seen: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      call: { policy: 'append-only', kind: 'text', required: false, max: 200, choices: [] },
    },
  },
  stop: {
    lane: 0,
    fact: true,
    parent: 'target',
    scopes: ['centre', 'unit/{unit}'],
    carries: [],
    safety: false,
    fields: {
      target: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      directive: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      round: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
      recall: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
    },
  },
  ruling: {
    lane: 0,
    fact: true,
    parent: 'target',
    scopes: ['centre', 'unit/{unit}'],
    carries: [],
    safety: false,
    fields: {
      target: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      directive: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      round: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
      recall: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      verdict: {
        policy: 'append-only',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['accept_result', 'stand_by_recall'],
      },
      note: { policy: 'append-only', kind: 'text', required: false, max: 500, choices: [] },
    },
  },
  feedback: {
    lane: 1,
    fact: true,
    parent: 'target',
    scopes: ['centre', 'unit/{unit}'],
    carries: [],
    safety: false,
    fields: {
      target: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      directive: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      round: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
      kind: {
        policy: 'append-only',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['progress', 'arrive', 'result', 'halt'],
      },
      text: { policy: 'append-only', kind: 'text', required: false, max: 2000, choices: [] },
      photos: { policy: 'append-only', kind: 'photos', required: false, max: 9, choices: [] },
      place: { policy: 'append-only', kind: 'text', required: false, max: 120, choices: [] },
      lat_e6: { policy: 'append-only', kind: 'lat', required: false, max: 12, choices: [] },
      lon_e6: { policy: 'append-only', kind: 'lon', required: false, max: 12, choices: [] },
      accuracy_m: { policy: 'append-only', kind: 'metres', required: false, max: 12, choices: [] },
    },
  },
  help_call: {
    lane: 0,
    fact: true,
    parent: 'target',
    scopes: ['centre', 'unit/{unit}', 'actor/{@actor}'],
    carries: [],
    safety: false,
    fields: {
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      target: { policy: 'append-only', kind: 'ref', required: false, max: 64, choices: [] },
      text: { policy: 'append-only', kind: 'text', required: false, max: 200, choices: [] },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
      place: { policy: 'append-only', kind: 'text', required: false, max: 120, choices: [] },
      lat_e6: { policy: 'append-only', kind: 'lat', required: false, max: 12, choices: [] },
      lon_e6: { policy: 'append-only', kind: 'lon', required: false, max: 12, choices: [] },
      accuracy_m: { policy: 'append-only', kind: 'metres', required: false, max: 12, choices: [] },
    },
  },
  help_answer: {
    lane: 0,
    fact: true,
    parent: 'help_call',
    scopes: ['centre', 'unit/{unit}', 'actor/{caller}'],
    carries: [],
    safety: false,
    fields: {
      help_call: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      caller: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      text: { policy: 'append-only', kind: 'text', required: false, max: 200, choices: [] },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
    },
  },
  contact: {
    lane: 2,
    fact: false,
    parent: 'unit',
    scopes: ['centre', 'register/{unit}'],
    carries: [],
    safety: false,
    fields: {
      unit: { policy: 'fixed-once', kind: 'ref', required: true, max: 64, choices: [] },
      duty: { policy: 'latest', kind: 'choice', required: true, max: 40, choices: ['head', 'liaison', 'duty_room'] },
      n: { policy: 'latest', kind: 'int', required: false, max: 200, choices: [] },
      name: { policy: 'latest', kind: 'text', required: true, max: 40, choices: [] },
      post: { policy: 'latest', kind: 'text', required: false, max: 40, choices: [] },
    },
  },
  contact_phone: {
    lane: 2,
    fact: false,
    parent: 'contact',
    scopes: ['centre', 'register/{unit}'],
    carries: [],
    safety: true,
    fields: {
      unit: { policy: 'fixed-once', kind: 'ref', required: true, max: 64, choices: [] },
      contact: { policy: 'fixed-once', kind: 'ref', required: true, max: 64, choices: [] },
      kind: { policy: 'latest', kind: 'choice', required: true, max: 40, choices: ['mobile', 'landline'] },
      number: { policy: 'manual', kind: 'text', required: true, max: 30, choices: [] },
    },
  },
  equipment: {
    lane: 2,
    fact: false,
    parent: 'unit',
    scopes: ['centre', 'register/{unit}', 'actor/{operator_person}'],
    carries: [],
    safety: false,
    fields: {
      unit: { policy: 'fixed-once', kind: 'ref', required: true, max: 64, choices: [] },
      kind: {
        policy: 'authority',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['crane', 'excavator', 'bulldozer', 'loader', 'special'],
      },
      name: { policy: 'authority', kind: 'text', required: true, max: 60, choices: [] },
      plate: { policy: 'authority', kind: 'text', required: false, max: 30, choices: [] },
      tonnage_t: { policy: 'authority', kind: 'int', required: false, max: 200, choices: [] },
      status: {
        policy: 'latest',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['available', 'in_use', 'out_of_service'],
      },
      base: { policy: 'latest', kind: 'text', required: false, max: 120, choices: [] },
      manager: { policy: 'latest', kind: 'text', required: false, max: 40, choices: [] },
      manager_phone: { policy: 'latest', kind: 'text', required: false, max: 30, choices: [] },
      operator: { policy: 'latest', kind: 'text', required: false, max: 40, choices: [] },
      operator_phone: { policy: 'latest', kind: 'text', required: false, max: 30, choices: [] },
      operator_person: { policy: 'authority', kind: 'ref', required: false, max: 64, choices: [] },
    },
  },
  equipment_move: {
    lane: 1,
    fact: true,
    parent: 'equipment',
    scopes: ['centre', 'register/{unit}', 'actor/{@actor}'],
    carries: [],
    safety: false,
    fields: {
      equipment: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      unit: { policy: 'append-only', kind: 'ref', required: true, max: 64, choices: [] },
      kind: {
        policy: 'append-only',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['move', 'hand_over', 'stop', 'resume'],
      },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
      manager: { policy: 'append-only', kind: 'text', required: true, max: 40, choices: [] },
      manager_phone: { policy: 'append-only', kind: 'text', required: false, max: 30, choices: [] },
      operator: { policy: 'append-only', kind: 'text', required: true, max: 40, choices: [] },
      operator_phone: { policy: 'append-only', kind: 'text', required: true, max: 30, choices: [] },
      note: { policy: 'append-only', kind: 'text', required: false, max: 200, choices: [] },
      place: { policy: 'append-only', kind: 'text', required: false, max: 120, choices: [] },
      lat_e6: { policy: 'append-only', kind: 'lat', required: false, max: 12, choices: [] },
      lon_e6: { policy: 'append-only', kind: 'lon', required: false, max: 12, choices: [] },
      accuracy_m: { policy: 'append-only', kind: 'metres', required: false, max: 12, choices: [] },
    },
  },
  conflict: {
    lane: 1,
    fact: false,
    parent: 'row_id',
    scopes: ['{*scopes}'],
    carries: [],
    safety: false,
    fields: {
      row_entity: { policy: 'server-only', kind: 'text', required: true, max: 40, choices: [] },
      row_id: { policy: 'server-only', kind: 'ref', required: true, max: 64, choices: [] },
      field: { policy: 'server-only', kind: 'text', required: false, max: 40, choices: [] },
      sides: { policy: 'server-only', kind: 'any', required: true, max: 12, choices: [] },
      rule: { policy: 'server-only', kind: 'text', required: true, max: 40, choices: [] },
      winner: { policy: 'server-only', kind: 'text', required: false, max: 120, choices: [] },
      state: {
        policy: 'server-only',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['open', 'auto', 'decided', 'superseded'],
      },
      needs: { policy: 'server-only', kind: 'choice', required: false, max: 40, choices: ['centre', 'unit'] },
      unit: { policy: 'server-only', kind: 'ref', required: false, max: 64, choices: [] },
      scopes: { policy: 'server-only', kind: 'texts', required: false, max: 12, choices: [] },
      decided_by: { policy: 'server-only', kind: 'text', required: false, max: 64, choices: [] },
      decided_at: { policy: 'server-only', kind: 'time', required: false, max: 200, choices: [] },
    },
  },
  verdict: {
    lane: 0,
    fact: false,
    parent: null,
    scopes: ['device/{replica}'],
    carries: [],
    safety: false,
    fields: {
      replica: { policy: 'server-only', kind: 'ref', required: true, max: 64, choices: [] },
      dot: { policy: 'server-only', kind: 'text', required: true, max: 120, choices: [] },
      hash: { policy: 'server-only', kind: 'text', required: true, max: 64, choices: [] },
      verdict: {
        policy: 'server-only',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['applied', 'merged', 'held', 'quarantined', 'refused'],
      },
      code: { policy: 'server-only', kind: 'text', required: false, max: 40, choices: [] },
      detail: { policy: 'server-only', kind: 'text', required: false, max: 300, choices: [] },
      tags: { policy: 'server-only', kind: 'texts', required: false, max: 12, choices: [] },
    },
  },
  quarantine: {
    lane: 1,
    fact: false,
    parent: null,
    scopes: ['centre', 'actor/{author}'],
    carries: [],
    safety: false,
    fields: {
      replica: { policy: 'server-only', kind: 'text', required: true, max: 64, choices: [] },
      dot: { policy: 'server-only', kind: 'text', required: true, max: 120, choices: [] },
      hash: { policy: 'server-only', kind: 'text', required: true, max: 64, choices: [] },
      verdict: { policy: 'server-only', kind: 'choice', required: true, max: 40, choices: ['quarantined', 'refused'] },
      code: { policy: 'server-only', kind: 'text', required: false, max: 40, choices: [] },
      detail: { policy: 'server-only', kind: 'text', required: false, max: 300, choices: [] },
      intent: { policy: 'server-only', kind: 'text', required: false, max: 60, choices: [] },
      author: { policy: 'server-only', kind: 'ref', required: false, max: 64, choices: [] },
      unit: { policy: 'server-only', kind: 'ref', required: false, max: 64, choices: [] },
      stamp: { policy: 'server-only', kind: 'text', required: false, max: 120, choices: [] },
      changes: { policy: 'server-only', kind: 'any', required: false, max: 12, choices: [] },
      state: {
        policy: 'latest',
        kind: 'choice',
        required: true,
        max: 40,
        choices: ['open', 'released', 'rejected', 'closed'],
      },
      note: { policy: 'latest', kind: 'text', required: false, max: 500, choices: [] },
    },
  },
  void: {
    lane: 0,
    fact: true,
    parent: null,
    scopes: ['centre', 'device/{replica}'],
    carries: [],
    safety: false,
    fields: {
      replica: { policy: 'append-only', kind: 'text', required: true, max: 64, choices: [] },
      of_lane: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      n: { policy: 'append-only', kind: 'int', required: true, max: 200, choices: [] },
      lost: { policy: 'append-only', kind: 'text', required: false, max: 64, choices: [] },
      reason: { policy: 'append-only', kind: 'choice', required: true, max: 40, choices: ['corrupt', 'missing'] },
      at: { policy: 'append-only', kind: 'time', required: true, max: 200, choices: [] },
    },
  },
};

export const INTENTS: Readonly<Record<string, IntentSpec>> = {
  'incident.open': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { incident: ['create'], incident_summary: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'incident.edit': {
    lane: 1,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { incident: ['set'], incident_summary: ['set'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'directive.issue': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { directive: ['create'], target: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'directive.recall': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { recall: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'recall.rule': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { ruling: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'target.step': {
    lane: 0,
    roles: ['duty', 'unit_head', 'responder'],
    writes: { step: ['create'] },
    reach: 'own',
    only: {
      step: { step: ['received', 'read', 'signed', 'departed', 'arrived', 'acting', 'reported'], route: ['device'] },
    },
    any_lane: false,
  },
  'target.stop': {
    lane: 0,
    roles: ['duty', 'unit_head', 'responder'],
    writes: { stop: ['create'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'target.close': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { step: ['create'] },
    reach: 'centre',
    only: {
      step: { step: ['closed'], route: ['centre'] },
    },
    any_lane: false,
  },
  'target.send_back': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { round: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'feedback.add': {
    lane: 1,
    roles: ['duty', 'unit_head', 'responder'],
    writes: { feedback: ['create'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'help.call': {
    lane: 0,
    roles: ['duty', 'unit_head', 'responder', 'operator'],
    writes: { help_call: ['create'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'help.answer': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { help_answer: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'move.file': {
    lane: 1,
    roles: ['operator', 'duty', 'unit_head', 'steward'],
    writes: { equipment_move: ['create'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'contact.edit': {
    lane: 2,
    roles: ['duty', 'unit_head', 'steward'],
    writes: { contact: ['create', 'set', 'remove'], contact_phone: ['create', 'set', 'remove'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'contact.edit_any': {
    lane: 2,
    roles: ['shift_lead'],
    writes: { contact: ['create', 'set', 'remove'], contact_phone: ['create', 'set', 'remove'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'equipment.edit': {
    lane: 2,
    roles: ['duty', 'unit_head', 'steward'],
    writes: { equipment: ['create', 'set', 'remove'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'conflict.decide': {
    lane: 1,
    roles: ['shift_lead'],
    writes: { contact: ['set'], contact_phone: ['set'], equipment: ['set'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'conflict.decide_own': {
    lane: 1,
    roles: ['duty', 'unit_head', 'steward'],
    writes: { contact: ['set'], contact_phone: ['set'], equipment: ['set'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'quarantine.release': {
    lane: 1,
    roles: ['shift_lead', 'centre_head'],
    writes: { quarantine: ['set'] },
    reach: 'centre',
    only: {
      quarantine: { state: ['released'] },
    },
    any_lane: false,
  },
  'quarantine.reject': {
    lane: 1,
    roles: ['shift_lead', 'centre_head'],
    writes: { quarantine: ['set'] },
    reach: 'centre',
    only: {
      quarantine: { state: ['rejected'] },
    },
    any_lane: false,
  },
  'quarantine.close': {
    lane: 1,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { quarantine: ['set'] },
    reach: 'centre',
    only: {
      quarantine: { state: ['closed'] },
    },
    any_lane: false,
  },
  'lane.void': {
    lane: 0,
    roles: ['duty', 'unit_head', 'responder', 'steward', 'operator'],
    writes: { void: ['create'] },
    reach: 'own',
    only: {},
    any_lane: true,
  },
  'register.load': {
    lane: 2,
    roles: ['admin'],
    writes: {
      unit: ['create', 'set', 'remove'],
      person: ['create', 'set', 'remove'],
      contact: ['create', 'set', 'remove'],
      contact_phone: ['create', 'set', 'remove'],
      equipment: ['create', 'set', 'remove'],
    },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
};
