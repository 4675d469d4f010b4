/** What lies in a fake database, read past its transactions. */

interface Kept {
  records: { values(): Iterable<{ value: unknown }> };
}

interface Raw {
  _databases: Map<string, { rawObjectStores: Map<string, Kept> }>;
}

/** The values of each table. A write puts another in the place of one, and never changes it. */
export type Image = Map<string, object[]>;

export function imageOf(factory: IDBFactory, name: string): Image {
  const tables = (factory as unknown as Raw)._databases.get(name)!.rawObjectStores;
  const values = ({ records }: Kept): object[] => Array.from(records.values(), ({ value }) => value as object);
  return new Map(Array.from(tables, ([table, kept]) => [table, values(kept)]));
}
