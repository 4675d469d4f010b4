"""The same history on both stores comes to the same: chain, sums, rows, and every page."""

import threading
from random import Random

import pytest
from msgspec.structs import replace

from schema.wire import Row, Verdict
from server.store.postgres import make_centre
from server.store.protocol import Commit, Span
from server.store.sqlite.database import SqliteDatabase, connect
from sync.known import Entry
from sync.merge import Write
from sync.rows import Stored
from sync.scope import Member
from tests.sync.builders import NOW, arrival, step

CENTRE = "centre"
WRITERS = 16
ENTITIES = ("step", "contact", "equipment")
SCOPES = ("centre", "directory", "unit/u1", "unit/u2", "register/u1", "actor/示例")
LANES = {"step": 0, "contact": 2, "equipment": 2}


class Scribe:
    """One writer: what it commits hangs on its own seed alone, whatever others do meanwhile."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = Random(seed)
        self.n = 0

    def batch(self) -> list[Commit]:
        return [self._commit() for _ in range(self.random.randint(1, 6))]

    def _commit(self) -> Commit:
        self.n += 1
        one = arrival(
            self.name, 0, self.n, "target.step", step("signed", id=f"{self.name}{self.n}")
        )
        kind = self.random.choice(("applied", "merged", "refused", "held"))
        verdict = Verdict(one.dot, one.hash, kind, 0, None, self.random.choice((None, "示例")))
        rows = [self._row(one.dot) for _ in range(self.random.randint(0, 3))]
        members = [self._member() for _ in range(self.random.randint(0, 3))]
        received = NOW + self.random.randrange(1000)
        return Commit(Entry(one, verdict), rows, members, received, self.random.random() < 0.1)

    def _key(self) -> tuple[str, str]:
        """Few ids, so that writers meet; now and then one that is new."""
        entity = self.random.choice(ENTITIES)
        if self.random.random() < 0.3:
            return entity, f"{self.name}-{self.n}"
        return entity, f"shared-{self.random.randrange(20)}"

    def _row(self, dot: str) -> Stored:
        entity, id = self._key()
        fields = {"unit": "u1", "target": f"t{self.random.randrange(4)}", "note": self._word()}
        row = Row(entity, id, 0, dot, "stamp", "示例", NOW, fields, home=CENTRE)
        if self.random.random() < 0.1:
            row = replace(row, removed=True)
        history = {}
        if self.random.random() < 0.3:
            history = {"note": [Write(dot, (), "stamp", "示例", 1, self._word())]}
        return Stored(row, history, self.random.randrange(3))

    def _member(self) -> Member:
        entity, id = self._key()
        present = self.random.random() < 0.7
        return Member(self.random.choice(SCOPES), LANES[entity], entity, id, present)

    def _word(self) -> str:
        return self.random.choice(("", "a", "示例", "\u0000", "𐍈", "é" * 40))


def everything(read):
    """All that a store tells of what was committed."""
    head = read.head()
    told = {"head": (head.seq, head.chain, head.floor), "moved": read.moved_since(head.seq // 2)}
    for scope in SCOPES:
        told["stands", scope] = {pair: one for pair, one in read.stands([scope]).items() if one.sum}
        for lane in (0, 2):
            walked = [(key, bytes(doc)) for key, doc in read.walk_pair(scope, lane, ("", ""))]
            told["pair", scope, lane] = walked
            told["touched", scope, lane] = {one.key: one for one in read.touched(scope, lane, 7)}
            for after in (0, head.seq // 3):
                told["page", scope, lane, after] = paged(read, scope, lane, after)
    for entity in ENTITIES:
        told["rows", entity] = list(read.walk(entity))
        told["parents", entity] = [read.children(entity, f"t{n}") for n in range(4)]
        told["families", entity] = read.families(entity, ["t1", "t3"])
    told["side"] = read.find("line"), read.some(Span("line", "", newest=True), 1, 5)
    dots = [f"w{w}/0/{n}" for w in range(WRITERS) for n in range(1, 40)]
    told["logged"], told["words"] = read.logged(dots), read.words(dots)
    return told


def paged(read, scope, lane, after):
    """A scope in small pages, what is under one seq in the order of its keys."""
    pages, complete = [], False
    while not complete:
        part = read.page(scope, lane, after, 400)
        rows = sorted(bytes(one) for one in part.page.rows)
        pages.append((part.page.next, rows, sorted(part.page.out), part.complete))
        after, complete = part.page.next, part.complete
    return pages


def write_all(write, scribe, batches, history, lock):
    """Commit in batches, and note what each seq was."""
    for _ in range(batches):
        batch = scribe.batch()
        key, doc = f"{scribe.name} {scribe.n}", {"n": scribe.n, "word": scribe._word()}

        def work(txn, batch=batch, key=key, doc=doc):
            txn.put("line", key, doc)
            return txn.commit(batch)

        done = write(work)
        with lock:
            history[done[0].seq] = (batch, key, doc)


def replayed(db, history):
    """The same history on SQLite, in the order that PostgreSQL gave it."""
    for seq in sorted(history):
        batch, key, doc = history[seq]

        def work(txn, batch=batch, key=key, doc=doc):
            txn.put("line", key, doc)
            return txn.commit(batch)

        assert db.write(work)[0].seq == seq, "no hole"


@pytest.fixture
def sqlite(tmp_path):
    database = SqliteDatabase(connect(tmp_path / "centre.db", query_only=False), CENTRE)
    yield database
    database.db.close()


def compare(here, there):
    assert here.keys() == there.keys()
    for name, told in here.items():
        assert told == there[name], name


def test_what_sixteen_writers_do_at_once_is_the_same_history_on_both_stores(database, sqlite):
    history, lock = {}, threading.Lock()
    nodes = [make_centre(database, CENTRE) for _ in range(WRITERS)]
    scribes = [Scribe(f"w{n}", n) for n in range(WRITERS)]
    work = [
        threading.Thread(target=write_all, args=(node.write, scribe, 12, history, lock))
        for node, scribe in zip(nodes, scribes, strict=True)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    replayed(sqlite, history)
    compare(nodes[0].read(everything), sqlite.read(everything))
    for store in (nodes[0], sqlite):
        middle = store.read(lambda txn: txn.head().seq // 2)
        assert store.write(lambda txn, upto=middle: txn.forget(0, upto, 10**6)) == middle
    compare(nodes[0].read(everything), sqlite.read(everything))
    for node in nodes:
        node.close()


@pytest.mark.parametrize("seed", range(4))
def test_one_history_is_the_same_on_both_stores_at_every_moment(seed, database, sqlite):
    node = make_centre(database, CENTRE)
    scribe, lock = Scribe("w0", 100 + seed), threading.Lock()
    for _ in range(6):
        history = {}
        write_all(node.write, scribe, 3, history, lock)
        replayed(sqlite, history)
        compare(node.read(everything), sqlite.read(everything))
    node.close()
