"""A look at a centre on PostgreSQL that changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from server.store.inspect import SLICE, TABLES, CannotRead, Inspector, Tick
from server.store.postgres.database import ENCODING, UNSAFE, patient, setting

_MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WAYS = {
    "pages": ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"),
    "keys": ("enable_seqscan",),
}
"""Two ways through a table, each by what it does without."""


class PostgresInspector(Inspector):
    """The database of one centre at this address.

    psycopg.OperationalError where it cannot be reached, or not any more.
    """

    def __init__(self, url: str, centre: str = "") -> None:
        self._db = psycopg.connect(patient(url), autocommit=True)
        self.name = {"database": self._db.info.dbname}
        try:
            self._all("SET default_transaction_read_only=on")
            super().__init__(centre)
        except BaseException:
            self._db.close()
            raise

    def _all(self, query: str, *values: Any) -> list[Any]:
        return list(self._asked(lambda: self._lines(query, values)))

    def _lines(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        done = self._db.execute(_in_postgres(query), values)
        return done.fetchall() if done.description else []

    def _each(self, query: str, *values: Any) -> Iterator[Any]:
        with self._db.cursor("walk") as cursor:
            self._asked(lambda: cursor.execute(_in_postgres(query), values))
            while lines := self._asked(lambda: cursor.fetchmany(SLICE)):
                yield from lines

    def _asked(self, ask: Any) -> Any:
        """What it answers. CannotRead when it cannot, and still is there to be asked again."""
        try:
            return ask()
        except (psycopg.DatabaseError, UnicodeDecodeError) as error:
            if self._db.closed:
                raise
            raise CannotRead(str(error).strip().split("\n")[0]) from error

    @contextmanager
    def _moment(self) -> Iterator[None]:
        self._all(_MOMENT)
        try:
            yield
        finally:
            if not self._db.closed:
                self._all("ROLLBACK")

    def _bytes(self, column: str) -> str:
        return f"convert_to({column}, '{ENCODING}')"

    def _only_centre(self) -> str:
        """The centre of this database; "" where there are several, or none."""
        if not self.schema():
            return ""
        heads = self._all("SELECT centre FROM head LIMIT 2")
        found = heads or self._all("SELECT min(centre) FROM log UNION SELECT max(centre) FROM log")
        return str(found[0][0] or "") if len(found) == 1 else ""

    def close(self) -> None:
        self._db.close()

    def version(self) -> int:
        """Of the server, as 150004 for 15.4."""
        return self._db.info.server_version

    def size(self) -> int:
        """Of the whole database, in bytes."""
        return int(self._one("SELECT pg_database_size(current_database())")[0])

    def settings(self) -> dict[str, str]:
        """Those that a commit's safety hangs on, and what finds damage."""
        names = (*UNSAFE, "server_encoding", "data_checksums")
        return {name: setting(self._db, name) for name in names}

    def schema(self) -> int:
        if self._one("SELECT to_regclass('schema_version')")[0] is None:
            return 0
        line = self._one("SELECT version FROM schema_version")
        return int(line[0]) if line else 0

    def integrity(self, tick: Tick) -> list[str]:
        """Tables whose keys lead to more or fewer lines than are there, and what cannot be read."""
        found = []
        for table in TABLES:
            tick()
            try:
                with self._moment():
                    there = {way: self._counted(table, without) for way, without in _WAYS.items()}
            except CannotRead as error:
                found.append(f"{table}: {error}")
                continue
            if there["pages"] != there["keys"]:
                told = ", ".join(f"{n} by {way}" for way, n in there.items())
                found.append(f"{table}: {told}")
        return found

    def _counted(self, table: str, without: tuple[str, ...]) -> int:
        names = [*_WAYS["pages"], *_WAYS["keys"]]
        for name in names:
            self._all(f"SET LOCAL {name}={'off' if name in without else 'on'}")
        return int(self._one(f"SELECT count(*) FROM {table} WHERE centre=?", self.centre)[0])

    def strangers(self) -> list[str]:
        """Tables with records of a centre that has no head: centres share a database here."""
        query = (
            "SELECT 1 FROM {} t WHERE centre<>?"
            " AND NOT EXISTS (SELECT 1 FROM head h WHERE h.centre=t.centre) LIMIT 1"
        )
        found = (table for table in TABLES if self._one(query.format(table), self.centre))
        return [table.strip('"') for table in found]


def _in_postgres(query: str) -> Any:
    return query.replace("?", "%s")
