/**
 * Where a machine is and was: filings of several people fold into moves, positions and a track.
 *
 * Whole numbers only, so that both sides of the wire come to the same answer.
 */

import { byText } from './canonical.ts';
import { MINUTE_MS, type Row } from './contract.ts';
import { decodeStamp } from './stamp.ts';

/** Filings this near to each other name one place. */
export const SAME_PLACE_M = 500;

/** Filings of different people this near in time speak of one move. */
export const OVERLAP_MS = 120 * MINUTE_MS;

/** A fix that is worse than this does not say where a machine is. */
export const ACCURACY_M_MAX = 5_000;

/** No machine goes faster, not even on a lorry. */
export const SPEED_KMH_MAX = 200;

/** An observation may claim to be this much after its own arrival, no more. */
export const CLOCK_SLACK_MS = 2 * MINUTE_MS;

/** The newest filings, and rulings, of one person that count: all others are history. */
export const EACH_MAX = 20;

/** The people who filed, or ruled, last count: far more than ever look after one machine. */
export const PEOPLE_MAX = 50;

const REACH_M_MAX = 50_000_000;
const M_PER_DEGREE = 111_195;
const MILLION = 1_000_000;

/**
 * One filing on the track, at its observed time.
 *
 * `flag` is why it does not count, `ruled` when a person ruled against it; empty for what is believed. With a flag of
 * `accuracy` its words still count, if it has any.
 */
export interface Point {
  filing: string;
  kind: string;
  actor: string;
  at: number;
  arrived: number;
  place: string | null;
  lat_e6: number | null;
  lon_e6: number | null;
  accuracy_m: number | null;
  dot: string;
  flag: '' | 'speed' | 'accuracy' | 'ruled';
}

/** One statement of where a machine went, and all who made it, each once. */
export interface Move {
  points: Point[];
}

/**
 * Where a machine is, as last observed; `move` is the filing that says so.
 *
 * `witnesses` are all who say so, `to_check` the filings that say otherwise of the same time.
 */
export interface Position {
  place: string | null;
  lat_e6: number | null;
  lon_e6: number | null;
  accuracy_m: number | null;
  at: number;
  arrived: number;
  move: string;
  witnesses: string[];
  to_check: string[];
}

export interface Whereabouts {
  position: Position | null;
  moves: Move[];
  track: Point[];
}

/** Latitude and longitude in micro-degrees. */
export type Fix = readonly [number, number];

/**
 * Fold one machine's filings, and what people ruled on them. Their order makes no difference.
 *
 * What counts is `recent`: however often somebody files, nobody else's filing is left out for it.
 */
export function whereabouts(filings: readonly Row[], rulings: readonly Row[] = []): Whereabouts {
  const out = ruledOut(rulings);
  const points = recent(filings, byObserved).map((row) => pointOf(row, out));
  const track = judged(points.filter((point) => point.place || hasFix(point)).sort(byOrder));
  const moves = movesOf(track.filter(counts));
  return { position: moves.length ? positionIn(moves, track) : null, moves, track };
}

type Comparing<T> = (a: T, b: T) => number;

/** Of each person the newest `EACH_MAX`, of the `PEOPLE_MAX` people whose newest are newest. */
export function recent(rows: readonly Row[], order: Comparing<Row>): Row[] {
  const theirs = new Map<string, Row[]>();
  for (const row of [...rows].sort(order)) {
    const mine = theirs.get(row.actor);
    if (mine) mine.push(row);
    else theirs.set(row.actor, [row]);
  }
  const people = [...theirs.values()].sort((a, b) => order(a[a.length - 1]!, b[b.length - 1]!));
  return people.slice(-PEOPLE_MAX).flatMap((mine) => mine.slice(-EACH_MAX));
}

/** By when it was observed. */
export const byObserved: Comparing<Row> = (a, b) =>
  observed(a) - observed(b) || byText(a.dot, b.dot) || byText(a.id, b.id);

/**
 * By its kept stamp, held to its arrival, whatever time its author typed.
 *
 * Whoever has seen a ruling rules later; of two that did not see each other one is later too.
 */
export const byRuled: Comparing<Row> = (a, b) =>
  ruledMs(a) - ruledMs(b) || byText(a.stamp, b.stamp) || byText(a.dot, b.dot) || byText(a.id, b.id);

function ruledMs({ stamp, arrived }: Row): number {
  const { wallMs } = decodeStamp(stamp)!;
  return Math.min(wallMs, arrived || wallMs);
}

/** The filings against which the latest ruling that names them was made. */
export function ruledOut(rulings: readonly Row[]): Set<string> {
  const out = new Set<string>();
  for (const { fields } of recent(rulings, byRuled).sort(byRuled)) {
    for (const id of fields.over as string[]) out.add(id);
    out.delete(fields.filing);
  }
  return out;
}

/** When a filing was observed, its claim held to shortly after it arrived. */
export const observed = ({ fields, arrived }: Row): number =>
  arrived ? Math.min(fields.at, arrived + CLOCK_SLACK_MS) : fields.at;

/** True when two fixes are this near, within 1 %. */
export function isWithin(a: Fix, b: Fix, metres: number): boolean {
  const hundredths = Math.floor(Math.abs(a[0] + b[0]) / 20_000);
  const square = hundredths * hundredths;
  // Bhaskara's cosine of the mean latitude, in millionths.
  const cosine = Math.floor(((324_000_000 - 4 * square) * MILLION) / (324_000_000 + square));
  const north = Math.floor((Math.abs(a[0] - b[0]) * M_PER_DEGREE) / MILLION);
  const across = Math.floor((Math.abs(a[1] - b[1]) * cosine) / MILLION);
  const east = Math.floor((across * M_PER_DEGREE) / MILLION);
  return north * north + east * east <= metres * metres;
}

function pointOf(row: Row, out: ReadonlySet<string>): Point {
  const { kind, place, lat_e6, lon_e6, accuracy_m } = row.fields;
  return {
    filing: row.id,
    kind: kind || '',
    actor: row.actor,
    at: observed(row),
    arrived: row.arrived,
    place: place ?? null,
    lat_e6: lat_e6 ?? null,
    lon_e6: lon_e6 ?? null,
    accuracy_m: accuracy_m ?? null,
    dot: row.dot,
    flag: out.has(row.id) ? 'ruled' : '',
  };
}

const byOrder: Comparing<Point> = (a, b) => a.at - b.at || byText(a.dot, b.dot) || byText(a.filing, b.filing);
const hasFix = ({ lat_e6, lon_e6 }: Point): boolean => lat_e6 !== null && lon_e6 !== null;
const counts = ({ flag, place }: Point): boolean => !flag || (flag === 'accuracy' && !!place);

/** Where it was measured to be, when that can be relied on. */
function fixOf({ flag, lat_e6, lon_e6 }: Point): Fix | null {
  return flag || lat_e6 === null || lon_e6 === null ? null : [lat_e6, lon_e6];
}

/** The track with its flags. A jump is doubted until a second point confirms it. */
function judged(track: readonly Point[]): Point[] {
  const found: Point[] = [];
  const trail = new Trail();
  let doubted: number | null = null;
  for (const [n, point] of track.entries()) {
    found.push(point);
    if (point.flag || !hasFix(point)) continue;
    if ((point.accuracy_m ?? 0) > ACCURACY_M_MAX) {
      found[n] = { ...point, flag: 'accuracy' };
      continue;
    }
    const before = trail.before(point);
    if (before && !reaches(before, point)) {
      if (doubted === null || !reaches(track[doubted]!, point)) {
        [found[n], doubted] = [{ ...point, flag: 'speed' }, n];
        continue;
      }
      found[doubted] = track[doubted]!;
    }
    trail.add(point);
    doubted = null;
  }
  return found;
}

/** The believed points so far, oldest first. */
class Trail {
  readonly #points: Point[] = [];
  readonly #own = new Map<string, number>();
  /** How many are older than the time of which others may say something else. */
  #older = 0;

  add(point: Point): void {
    this.#own.set(point.actor, this.#points.length);
    this.#points.push(point);
  }

  /**
   * The newest point that this one, later than all, must have been reached from.
   *
   * What other people say of the same time may contradict it; that makes no jump of it.
   */
  before(point: Point): Point | null {
    const points = this.#points;
    while (this.#older < points.length && point.at - points[this.#older]!.at > OVERLAP_MS) this.#older += 1;
    return points[Math.max(this.#own.get(point.actor) ?? -1, this.#older - 1)] ?? null;
  }
}

/** True when a machine can have gone from one point to the other in the time between. */
function reaches(earlier: Point, later: Point): boolean {
  const [a, b] = [fixOf(earlier), fixOf(later)];
  const travelled = Math.floor(((later.at - earlier.at) * SPEED_KMH_MAX) / 3_600);
  return a !== null && b !== null && isWithin(a, b, Math.min(REACH_M_MAX, SAME_PLACE_M + travelled));
}

/** Filings of different people at one place and time are one move with several witnesses. */
function movesOf(points: readonly Point[]): Move[] {
  const groups: Point[][] = [];
  let live: Point[][] = [];
  for (const point of points) {
    live = live.filter((group) => isLive(group, point));
    const fitting = live.filter(([first]) => first!.kind === point.kind && samePlace(first!, point));
    const group = fitting[fitting.length - 1];
    if (group) group.push(point);
    else {
      live.push([point]);
      groups.push(live[live.length - 1]!);
    }
  }
  return groups.map((group) => ({ points: group }));
}

/** True while others may bear witness to it: nobody in it has said more since. */
const isLive = (group: readonly Point[], point: Point): boolean =>
  point.at - group[0]!.at <= OVERLAP_MS && group.every((one) => one.actor !== point.actor);

/** By what was measured, else by the words. */
function samePlace(a: Point, b: Point): boolean {
  const [here, there] = [fixOf(a), fixOf(b)];
  if (here && there) return isWithin(here, there, SAME_PLACE_M);
  return !!a.place && a.place === b.place;
}

const lastOf = ({ points }: Move): Point => points[points.length - 1]!;
const byLast = (a: Move, b: Move): number => byOrder(lastOf(a), lastOf(b));
const newestOf = (moves: readonly Move[]): Move => moves.reduce((best, one) => (byLast(one, best) > 0 ? one : best));

/** The newest point with a fix, else the newest. */
function bestOf({ points }: Move): Point {
  const measured = points.filter(fixOf);
  return measured[measured.length - 1] ?? points[points.length - 1]!;
}

/** The newest move, unless another person measured where it only says so. */
function positionIn(moves: readonly Move[], track: readonly Point[]): Position {
  const standing = standingOf(moves, track);
  const newest = newestOf(standing);
  const rivals = standing.filter((move) => contradicts(move, newest));
  const measured = [newest, ...rivals].filter((move) => fixOf(bestOf(move)));
  const chosen = measured.length ? newestOf(measured) : newest;
  const point = bestOf(chosen);
  const [lat_e6, lon_e6] = fixOf(point) ?? [null, null];
  return {
    place: point.place,
    lat_e6,
    lon_e6,
    accuracy_m: point.flag ? null : point.accuracy_m,
    at: point.at,
    arrived: point.arrived,
    move: point.filing,
    witnesses: chosen.points.map((one) => one.actor),
    to_check: standing
      .filter((move) => contradicts(move, chosen))
      .flatMap((move) => move.points.map((one) => one.filing)),
  };
}

/**
 * The moves that none of their own people followed by another, were it ruled against.
 *
 * Where somebody ruled for none of these, what was ruled against follows nothing.
 */
function standingOf(moves: readonly Move[], track: readonly Point[]): readonly Move[] {
  const said = track.filter((point) => counts(point) || point.flag === 'ruled');
  const standing = newestAmong(said, moves);
  return standing.length ? standing : newestAmong(said.filter(counts), moves);
}

/** The moves that hold, of each of their people, the newest of these points. */
function newestAmong(points: readonly Point[], moves: readonly Move[]): Move[] {
  const newest = new Map(points.map((point) => [point.actor, point]));
  return moves.filter((move) => move.points.every((one) => newest.get(one.actor) === one));
}

/** Two statements of one kind about one time, and not of one place. */
function contradicts(a: Move, b: Move): boolean {
  return (
    a !== b &&
    lastOf(a).kind === lastOf(b).kind &&
    Math.abs(lastOf(a).at - lastOf(b).at) <= OVERLAP_MS &&
    !samePlace(bestOf(a), bestOf(b))
  );
}
