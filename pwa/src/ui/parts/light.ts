/** What the three lights of a unit can say, weakest first: 未送达, 未阅, 已阅, 已签收, 已反馈. */
export type Light = 'waiting' | 'unread' | 'read' | 'signed' | 'fed-back';

/** Ranks of an order's progress in their order: 待送达, 已送达, 已阅, 已签收, 已出动, 已到场, 处置中, 报办结, 已办结. */
const BY_RANK: readonly Light[] = [
  'waiting',
  'unread',
  'read',
  'signed',
  'signed',
  'signed',
  'fed-back',
  'fed-back',
  'fed-back',
];

/** The light of a rank, 0 = 待送达 … 8 = 已办结. An unknown higher rank of a newer version counts as the highest. */
export function lightOfRank(rank: number): Light {
  return BY_RANK[Math.max(0, Math.min(rank, BY_RANK.length - 1))] ?? 'waiting';
}
