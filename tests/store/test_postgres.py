"""What is PostgreSQL's own: its settings, connections that end, and several nodes on one log."""

import asyncio
import threading
from contextlib import closing
from random import Random

import msgspec
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from schema.wire import Row
from server.store.postgres import PostgresDatabase, connect, make_centre, open_postgres, turn_at
from server.store.postgres import database as database_module
from server.store.protocol import Damaged, NewerDatabase, UnsafeSettings
from tests.postgres import postgres
from tests.store.test_contract import commit, signed

CENTRE = "centre"
NOTICED_S = 30


@pytest.fixture
def node(database):
    """One node's connection."""
    opened = make_centre(database, CENTRE)
    yield opened
    opened.close()


def end(database, other):
    """The server ends the connection of another node."""
    with psycopg.connect(database, autocommit=True) as db:
        [ended] = db.execute("SELECT pg_terminate_backend(%s)", (other.db.info.backend_pid,))
    assert ended == (True,)


def said(count):
    """Commits numbered from 1 on."""
    return lambda txn: txn.commit([commit(n, signed(n)) for n in range(1, count + 1)])


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_may_lose_a_commit_is_refused(setting):
    with postgres(**{setting: "off"}) as url, pytest.raises(UnsafeSettings, match=setting):
        connect(url)


def test_a_database_that_answers_before_a_commit_is_on_disk_is_refused(database):
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(f"ALTER DATABASE {name} SET synchronous_commit=off")
    with pytest.raises(UnsafeSettings, match="synchronous_commit"):
        make_centre(database, CENTRE)


def test_a_database_of_a_newer_program_is_not_touched(node, database):
    node.db.execute("UPDATE schema_version SET version=99")
    with pytest.raises(NewerDatabase):
        make_centre(database, CENTRE)
    assert node.db.execute("SELECT version FROM schema_version").fetchall() == [(99,)]


def test_a_connection_that_ended_is_opened_again_for_the_next_transaction(node, database):
    end(database, node)
    assert [done.seq for done in node.write(said(1))] == [1]
    end(database, node)
    assert node.read(lambda txn: txn.head()).seq == 1


def test_a_transaction_whose_connection_ends_within_it_is_undone_and_told(node, database):
    def work(txn):
        txn.put("code", "k", {})
        end(database, node)
        txn.put("code", "l", {})

    with pytest.raises(psycopg.OperationalError):
        node.write(work)
    assert node.read(lambda txn: txn.find("code")) == {}


def test_a_commit_that_still_goes_on_is_waited_for(node, database):
    """The answer is lost while the server commits: its outcome is known once it is over."""
    node.db.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'"
    )
    node.db.execute(
        "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    node._db = Cut(connect(database))
    assert [done.seq for done in node.write(said(1))] == [1]
    assert node.read(lambda txn: txn.head()).seq == 1


def test_a_log_that_has_lost_its_head_is_not_begun_anew(node, database):
    node.write(said(1))
    node.db.execute("DELETE FROM head")
    with pytest.raises(Damaged, match="head"):
        make_centre(database, CENTRE)
    with pytest.raises(Damaged, match="head"):
        node.write(said(2))


def test_a_process_that_hangs_gives_the_lock_back(node, database, monkeypatch):
    monkeypatch.setitem(database_module.SESSION, "idle_in_transaction_session_timeout", "200ms")
    hung = PostgresDatabase(database, CENTRE)
    in_it, go_on = threading.Event(), threading.Event()

    def work(txn):
        txn.commit([commit(1, signed(1))])
        in_it.set()
        go_on.wait(60)

    def hang():
        with pytest.raises(psycopg.Error):
            hung.write(work)

    thread = threading.Thread(target=hang)
    thread.start()
    in_it.wait(60)
    assert [done.seq for done in node.write(said(1))] == [1]
    go_on.set()
    thread.join()
    hung.close()


def test_a_line_that_is_cut_without_a_word_is_noticed_within_half_a_minute(database):
    """By what libpq says of an open connection, whatever the address itself asks for."""
    with closing(connect(make_conninfo(database, keepalives_idle=7_200))) as db:
        asked = {one.keyword.decode(): (one.val or b"").decode() for one in db.pgconn.info}
    idle, interval, count = (
        int(asked[f"keepalives_{name}"]) for name in ("idle", "interval", "count")
    )
    assert asked["keepalives"] != "0" and idle + interval * count <= NOTICED_S
    assert 0 < int(asked["tcp_user_timeout"]) <= NOTICED_S * 1_000
    assert 0 < int(asked["connect_timeout"]) <= NOTICED_S


def test_a_database_of_another_encoding_is_refused(database):
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        try:
            with pytest.raises(UnsafeSettings, match="server_encoding"):
                connect(make_conninfo(database, dbname="latin"))
        finally:
            db.execute("DROP DATABASE latin")


class Deaf:
    """A connection that ends after COMMIT was sent, or before, and never hears the answer."""

    def __init__(self, db, database, arrives):
        self._db, self._database, self._arrives = db, database, arrives

    def execute(self, query, *values):
        if query != "COMMIT":
            return self._db.execute(query, *values)
        if self._arrives:
            self._db.execute(query)
        self._db.close()
        raise psycopg.OperationalError("the connection is lost")

    def __getattr__(self, name):
        return getattr(self._db, name)


class Cut(Deaf):
    """A connection that is cut while the server is busy with COMMIT."""

    def __init__(self, db):
        super().__init__(db, None, True)

    def execute(self, query, *values):
        if query != "COMMIT":
            return self._db.execute(query, *values)
        self._db.pgconn.send_query(b"COMMIT")
        self._db.close()
        raise psycopg.OperationalError("the connection is lost")


def test_a_commit_whose_answer_was_lost_is_told_as_what_became_of_it(node, database):
    node._db = Deaf(connect(database), database, arrives=True)
    assert [done.seq for done in node.write(said(1))] == [1]
    node._db = Deaf(connect(database), database, arrives=False)
    with pytest.raises(psycopg.OperationalError, match="is lost"):
        node.write(said(2))
    assert node.read(lambda txn: txn.head()).seq == 1


async def test_two_nodes_that_write_at_once_leave_no_hole_and_one_chain(database):
    nodes = [await open_postgres(database, CENTRE) for _ in range(2)]

    async def one(n):
        done = await nodes[n % 2].write(lambda txn: txn.commit([commit(n, signed(n))]))
        return done[0].seq

    seqs = await asyncio.gather(*(one(n) for n in range(1, 81)))
    assert sorted(seqs) == list(range(1, 81))
    heads = [await store.read(lambda txn: txn.head()) for store in nodes]
    assert heads[0] == heads[1] and heads[0].seq == 80
    for store in nodes:
        await store.close()


async def test_two_nodes_that_start_at_once_make_the_tables_once(database):
    nodes = await asyncio.gather(*(open_postgres(database, CENTRE) for _ in range(4)))
    heads = [await store.read(lambda txn: txn.head()) for store in nodes]
    assert all(head == heads[0] for head in heads)
    for store in nodes:
        await store.close()


async def test_processes_take_turns_and_who_dies_in_its_own_has_left(database):
    inside, orders = 0, []

    async def one(dies):
        nonlocal inside
        async with turn_at(database, CENTRE) as db:
            inside += 1
            orders.append(inside)
            await asyncio.to_thread(connect(database).close)
            inside -= 1
            if dies:
                await db.close()

    await asyncio.gather(*(one(n % 2 == 0) for n in range(4)))
    assert orders == [1, 1, 1, 1]
    async with turn_at(database, CENTRE), turn_at(database, "north"):
        pass  # Each centre has turns of its own.


ROWS = 1_000_000
WRITERS = 16
AT_ONCE = 50


def writes(database, count, seed, failed):
    """One writer of so many rows, in batches whose length hangs on its seed."""
    random, done = Random(seed), 0
    node = PostgresDatabase(database, CENTRE)
    try:
        while done < count:
            size = min(random.randint(1, 2 * AT_ONCE), count - done)
            first = seed * ROWS + done
            batch = [commit(n, signed(n)) for n in range(first + 1, first + size + 1)]
            node.write(lambda txn, batch=batch: txn.commit(batch))
            done += size
    except BaseException as error:
        failed.append(error)
    finally:
        node.close()


def follows(database, rows, failed):
    """A reader that takes what is there, again and again, and has never missed anything."""
    node, after = PostgresDatabase(database, CENTRE), 0
    looks = 0
    while after < rows and not failed:
        part = node.read(lambda txn, after=after: txn.page("centre", 0, after, 200_000))
        seqs = [msgspec.json.decode(one, type=Row).seq for one in part.page.rows]
        assert seqs == list(range(after + 1, after + len(seqs) + 1)), "no hole"
        after, looks = part.page.next, looks + 1
    node.close()
    return looks


def never_misses(database, rows):
    failed = []
    make_centre(database, CENTRE).close()
    threads = [
        threading.Thread(target=writes, args=(database, rows // WRITERS, seed, failed))
        for seed in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    looks = follows(database, rows, failed)
    for thread in threads:
        thread.join()
    assert failed == []
    return looks


def test_a_reader_beside_sixteen_writers_never_misses_a_row(database):
    assert never_misses(database, 4_800) > 1


@pytest.mark.long("rows")
@pytest.mark.timeout(7_200)
def test_a_reader_beside_sixteen_writers_misses_none_of_a_million_rows(database):
    print(f"{ROWS} rows, {never_misses(database, ROWS)} looks")
