/** Emitted from schema/ by `python3 run.py emit`; never edit it by hand, a test would tell. */

export const PROTOCOL_VERSION = 2;
export const SCHEMA_VERSION = 2;
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
export const BLOB_CHUNK_BYTES_MAX = 1048576;
export const SAFE_INT_MAX = 9007199254740991;
export const TIME_MS_MIN = 946684800000;
export const TIME_MS_MAX = 4102444800000;
export const LAT_E6_MAX = 90000000;
export const LON_E6_MAX = 180000000;
export const METRES_MAX = 100000000;
export const DAY_MS = 86400000;
export const SENT_MS = 1209600000;

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
 * All rows of (scope, lane), none older than at `seq`, in parts, the same bytes for everyone.
 *
 * A device fetches the parts that it lacks, stages their rows, and pulls on from `seq`. A later
 * snapshot names the same part again while nothing in it has changed.
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
