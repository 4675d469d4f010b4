"""What every store promises. Each test runs on every store there is."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from schema.wire import Row, Verdict
from server.store.base import REMEMBERED_MAX
from server.store.postgres import open_postgres
from server.store.protocol import Commit, Span, walk_kind
from server.store.sqlite import open_store
from sync.digest import digest_of, total
from sync.known import Entry
from sync.scope import Member, memberships
from tests.sync.builders import NOW, arrival, row, step, target


@pytest.fixture(params=["sqlite", "postgres"])
def opening(request, tmp_path):
    """Opens a centre's store by its name, on a database of this test's own."""
    if request.param == "sqlite":
        return lambda centre="centre": open_store(tmp_path / "centre.db", centre)
    url = request.getfixturevalue("database")
    return lambda centre="centre": open_postgres(url, centre)


@pytest.fixture
async def store(opening):
    opened = await opening()
    yield opened
    await opened.close()


def commit(n, *rows, members=None, verdict="applied", release=False):
    one = arrival("phone", 0, n, "target.step", step("signed", id=f"s{n}"))
    entry = Entry(one, Verdict(f"phone/0/{n}", one.hash, verdict, 0))
    found = [m for stored in rows for m in memberships(None, stored.row)]
    return Commit(entry, rows, found if members is None else members, NOW, release)


def signed(n, unit="u1"):
    return row("step", f"s{n}", {**step("signed").fields, "unit": unit}, f"phone/0/{n}")


async def committed(store, *commits):
    return [done.seq for done in await store.write(lambda txn: txn.commit(commits))]


def sums_of(txn, scope):
    return {lane: stand.sum for (_, lane), stand in txn.stands([scope]).items()}


class Broken(Exception):
    pass


async def test_a_new_store_has_an_empty_log_and_an_identity_that_stays(opening):
    first = await opening()
    head = await first.read(lambda txn: txn.head())
    await first.close()
    again = await opening()
    assert await again.read(lambda txn: txn.head()) == head
    assert (head.seq, len(head.realm)) == (0, 32)
    await again.close()


async def test_seqs_are_dense_in_the_order_of_commit(store):
    assert await committed(store, commit(1), commit(2)) == [1, 2]
    assert await committed(store, commit(3)) == [3]
    assert (await store.read(lambda txn: txn.head())).seq == 3


async def test_concurrent_writers_leave_no_hole(store):
    async def one(n):
        return (await committed(store, commit(n)))[0]

    assert sorted(await asyncio.gather(*(one(n) for n in range(1, 41)))) == list(range(1, 41))


async def test_a_failed_write_leaves_nothing_behind(store):
    def work(txn):
        txn.commit([commit(1, signed(1))])
        txn.put("code", "k", {"a": 1})
        raise Broken

    with pytest.raises(Broken):
        await store.write(work)
    head = await store.read(lambda txn: txn.head())
    assert (head.seq, head.chain) == (0, "")
    assert await store.read(lambda txn: txn.get("code", "k")) is None
    assert await store.read(lambda txn: txn.rows([("step", "s1")])) == {}


async def test_a_write_sees_what_it_wrote_and_readers_only_what_is_committed(store):
    seen = []

    def work(txn):
        txn.put("code", "k", {"a": 1})
        seen.append(txn.get("code", "k"))

    await store.write(work)
    assert seen == [{"a": 1}]
    assert await store.read(lambda txn: txn.get("code", "k")) == {"a": 1}


async def test_a_recorded_verdict_is_given_again_with_its_seq(store):
    await store.write(lambda txn: txn.commit([commit(1), commit(2, verdict="refused")]))
    logged = await store.read(lambda txn: txn.logged(["phone/0/2", "phone/0/9"]))
    assert list(logged) == ["phone/0/2"]
    assert (logged["phone/0/2"].verdict.verdict, logged["phone/0/2"].verdict.seq) == ("refused", 2)


async def test_a_release_is_a_line_of_its_own_and_its_verdict_stands(store):
    await store.write(lambda txn: txn.commit([commit(1, verdict="held")]))
    assert await committed(store, commit(1, signed(1), release=True)) == [2]
    logged = await store.read(lambda txn: txn.logged(["phone/0/1"]))
    assert (logged["phone/0/1"].verdict.verdict, logged["phone/0/1"].verdict.seq) == ("applied", 2)


async def test_a_row_comes_back_as_it_was_written_with_its_seq(store):
    await store.write(lambda txn: txn.commit([commit(1), commit(2, signed(2))]))
    found = await store.read(lambda txn: txn.rows([("step", "s2")]))
    wrote = signed(2)
    assert found["step", "s2"] == replace(wrote, row=replace(wrote.row, seq=2))


async def test_children_are_found_by_their_parent(store):
    await store.write(lambda txn: txn.commit([commit(1, signed(1)), commit(2, signed(2))]))
    found = await store.read(lambda txn: txn.children("step", "t1"))
    assert [one.row.id for one in found] == ["s1", "s2"]
    assert await store.read(lambda txn: txn.children("step", "t2")) == []
    assert len(await store.read(lambda txn: txn.children("step", None))) == 2


async def test_a_page_holds_what_moved_above_the_cursor_in_seq_order(store):
    await store.write(lambda txn: txn.commit([commit(n, signed(n)) for n in (1, 2, 3)]))
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 1, 10**6))
    assert (part.complete, part.page.next, len(part.page.rows)) == (True, 3, 2)
    assert (await store.read(lambda txn: txn.page("unit/u2", 0, 0, 10**6))).size == 0


async def test_a_page_never_splits_a_seq_and_says_when_more_follows(store):
    await store.write(
        lambda txn: txn.commit([commit(1, signed(1), signed(2)), commit(2, signed(3))])
    )
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 0, 1))
    assert (part.complete, part.page.next, len(part.page.rows)) == (False, 1, 2)
    rest = await store.read(lambda txn: txn.page("unit/u1", 0, part.page.next, 1))
    assert (rest.complete, len(rest.page.rows)) == (True, 1)


async def test_a_changed_row_moves_to_its_new_seq_in_every_scope_it_is_in(store):
    directive, one = target()[4], target()[5]
    await store.write(lambda txn: txn.commit([commit(1, directive, one), commit(2, directive)]))
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 1, 10**6))
    assert (part.page.next, len(part.page.rows)) == (2, 1)


async def test_a_commit_names_every_scope_in_which_something_moved(store):
    directive, one = target()[4], target()[5]
    await store.write(lambda txn: txn.commit([commit(1, directive, one)]))
    done = await store.write(lambda txn: txn.commit([commit(2, directive, members=[])]))
    assert done[0].moved == {("centre", 0), ("unit/u1", 0)}


async def test_a_carried_row_that_does_not_exist_yet_spoils_no_page(store):
    await store.write(lambda txn: txn.commit([commit(1, target()[5])]))
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 0, 10**6))
    assert len(part.page.rows) == 1
    await store.write(lambda txn: txn.commit([commit(2, target()[4])]))
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 1, 10**6))
    assert len(part.page.rows) == 1


async def test_a_row_that_leaves_a_scope_is_announced_by_its_id_alone(store):
    gone = Member("unit/u1", 0, "step", "s1", False)
    await store.write(lambda txn: txn.commit([commit(1, signed(1)), commit(2, members=[gone])]))
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 1, 10**6))
    assert (part.page.rows, part.page.out) == ([], [("step", "s1")])


async def test_from_the_beginning_nothing_is_told_of_what_left_or_was_removed(store):
    gone = Member("unit/u1", 0, "step", "s1", False)
    dead = replace(signed(3), row=replace(signed(3).row, removed=True))
    await store.write(
        lambda txn: txn.commit(
            [commit(1, signed(1), signed(2), signed(3)), commit(2, members=[gone]), commit(3, dead)]
        )
    )
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 0, 10**6))
    assert (len(part.page.rows), part.page.out, part.complete) == (1, [], True)


async def test_the_sum_of_a_scope_follows_what_enters_changes_leaves_and_is_removed(store):
    async def sums() -> dict[int, int]:
        return await store.read(lambda txn: sums_of(txn, "unit/u1"))

    async def held() -> int:
        part = await store.read(lambda txn: txn.page("unit/u1", 0, 0, 10**6))
        rows = [msgspec.json.decode(one, type=Row) for one in part.page.rows]
        return total(map(digest_of, rows))

    gone = Member("unit/u1", 0, "step", "s1", False)
    changed = replace(signed(2), row=replace(signed(2).row, stamp="later"))
    dead = replace(signed(3), row=replace(signed(3).row, removed=True))
    for n, one in enumerate(
        (
            commit(1, signed(1), signed(2), signed(3)),
            commit(2, changed),
            commit(3, members=[gone]),
            commit(4, dead),
            commit(5, members=[gone]),
        )
    ):
        await store.write(lambda txn, one=one: txn.commit([one]))
        assert (await sums())[0] == await held(), n
    assert await held() == digest_of(changed.row)


async def test_what_is_forgotten_is_told_to_nobody_and_changes_no_sum(store):
    gone = Member("unit/u1", 0, "step", "s1", False)
    dead = replace(signed(3), row=replace(signed(3).row, removed=True))
    await store.write(
        lambda txn: txn.commit(
            [commit(1, signed(1), signed(2), signed(3)), commit(2, members=[gone]), commit(3, dead)]
        )
    )
    before = await store.read(lambda txn: sums_of(txn, "unit/u1"))
    await store.write(lambda txn: txn.forget(0, 3, 100))
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 1, 10**6))
    assert (part.page.rows, part.page.out) == ([], [])
    assert await store.read(lambda txn: sums_of(txn, "unit/u1")) == before
    assert (await store.read(lambda txn: txn.rows([("step", "s3")])))["step", "s3"].row.removed


async def test_the_head_keeps_its_epoch_floor_and_durable_mark(store):
    await store.write(lambda txn: txn.commit([commit(1)]))
    head = await store.read(lambda txn: txn.head())
    await store.write(
        lambda txn: txn.set_head(replace(head, epoch="2-x", floor=1, durable=1, seq=9))
    )
    after = await store.read(lambda txn: txn.head())
    assert (after.epoch, after.floor, after.durable, after.seq) == ("2-x", 1, 1, 1)


async def test_the_words_of_a_mutation_are_there_as_they_came(store):
    one = commit(1)
    await store.write(lambda txn: txn.commit([one]))
    found = await store.read(lambda txn: txn.words([one.entry.arrival.dot, "nobody/0/1"]))
    assert found == {one.entry.arrival.dot: one.entry.arrival.raw}


async def test_a_removed_row_is_sent_without_its_words_but_with_its_unit(store):
    wrote = signed(1)
    tombstone = replace(wrote, row=replace(wrote.row, removed=True))
    await store.write(lambda txn: txn.commit([commit(1, wrote), commit(2, tombstone)]))
    found = await store.read(lambda txn: txn.rows([("step", "s1")]))
    gone = found["step", "s1"].row
    assert (gone.removed, gone.fields) == (True, {"unit": "u1"})


async def test_the_chain_names_everything_that_was_logged(store):
    await store.write(lambda txn: txn.commit([commit(1)]))
    first = await store.read(lambda txn: txn.head())
    await store.write(lambda txn: txn.commit([commit(2)]))
    second = await store.read(lambda txn: txn.head())
    assert len({"", first.chain, second.chain}) == 3


async def test_records_of_a_kind_are_listed_put_and_deleted(store):
    def work(txn):
        txn.put("code", "a", {"n": 1})
        txn.put("code", "b", {"n": 2})
        txn.put("session", "a", {"n": 3})
        txn.delete("code", "a")

    await store.write(work)
    assert await store.read(lambda txn: txn.find("code")) == {"b": {"n": 2}}


async def test_two_centres_in_one_database_do_not_see_each_other(opening):
    here, there = [await opening(name) for name in ("here", "there")]
    await here.write(lambda txn: txn.commit([commit(1, signed(1))]))
    assert (await there.read(lambda txn: txn.head())).seq == 0
    assert await there.read(lambda txn: txn.rows([("step", "s1")])) == {}
    await here.close()
    await there.close()


async def test_a_part_of_a_kind_comes_in_the_order_of_its_keys_from_either_end(store):
    def work(txn):
        for key in ("a 1", "a 2", "a 3", "b 1"):
            txn.put("line", key, {"of": key})

    await store.write(work)
    read = store.read
    assert list(await read(lambda txn: txn.some(Span("line", "a "), 0, 2))) == ["a 1", "a 2"]
    assert list(await read(lambda txn: txn.some(Span("line", "a "), 2, 2))) == ["a 3"]
    newest = Span("line", "a ", low="a 2", newest=True)
    assert list(await read(lambda txn: txn.some(newest, 0, 9))) == ["a 3", "a 2"]
    assert await read(lambda txn: txn.count_in(newest)) == 2
    assert await read(lambda txn: txn.count_in(Span("line", ""))) == 4


async def test_a_walk_meets_every_record_once_while_others_are_written(store, monkeypatch):
    monkeypatch.setattr("server.store.protocol.SLICE", 2)
    keys = [" 1", "a", "a ", "a 1", "b", "示例"]

    def work(txn):
        for key in keys:
            txn.put("line", key, {"of": key})
        met = []
        for key, doc in walk_kind(txn, "line"):
            met.append(key)
            txn.put("met", doc["of"], {})
        return met

    assert await store.write(work) == keys


async def test_a_walk_meets_every_row_once_while_others_are_written(store, monkeypatch):
    monkeypatch.setattr("server.store.sqlite.txn.WALKED", 2)
    monkeypatch.setattr("server.store.postgres.txn.WALKED", 2)
    await store.write(lambda txn: txn.commit([commit(n, signed(n)) for n in range(1, 6)]))

    def work(txn):
        met = []
        for stored in txn.walk("step"):
            met.append(stored.row.id)
            txn.put("met", stored.row.id, {})
        return met

    assert await store.write(work) == [f"s{n}" for n in range(1, 6)]


async def test_it_is_known_what_moved_in_a_scope_since_and_what_is_there_no_more(store):
    async def touched(after, scope="unit/u1"):
        return await store.read(
            lambda txn: {one.key[1]: one.gone for one in txn.touched(scope, 0, after)}
        )

    await committed(store, commit(1, signed(1)), commit(2, signed(2)))
    assert await touched(0) == {"s1": False, "s2": False} and await touched(2) == {}
    await committed(store, commit(3, members=[Member("unit/u1", 0, "step", "s1", False)]))
    assert await touched(2) == {"s1": True} and await touched(0, "unit/u2") == {}
    gone = signed(2)
    removed = replace(gone, row=replace(gone.row, removed=True))
    await committed(store, commit(4, removed))
    assert await touched(3) == {"s2": True}


async def test_a_walk_over_a_pair_meets_what_it_holds_in_the_order_of_keys(store):
    async def met(id="", scope="unit/u1"):
        return await store.read(
            lambda txn: [key[1] for key, _ in txn.walk_pair(scope, 0, ("step", id))]
        )

    await committed(store, *(commit(n, signed(n)) for n in (3, 1, 2, 4)))
    assert await met() == ["s1", "s2", "s3", "s4"] and await met("s3") == ["s3", "s4"]
    await committed(store, commit(5, members=[Member("unit/u1", 0, "step", "s2", False)]))
    assert await met() == ["s1", "s3", "s4"] and await met(scope="unit/u2") == []


async def test_it_is_known_which_pairs_have_moved_since(store):
    await committed(store, commit(1, signed(1)), commit(2, signed(2, unit="u2")))
    moved = await store.read(lambda txn: txn.moved_since(0))
    assert moved == {("centre", 0): 2, ("unit/u1", 0): 1, ("unit/u2", 0): 2}
    assert await store.read(lambda txn: txn.moved_since(1)) == {
        ("centre", 0): 2,
        ("unit/u2", 0): 2,
    }
    gone = Member("unit/u1", 0, "step", "s1", False)
    await committed(store, commit(3, members=[gone]))
    assert await store.read(lambda txn: txn.moved_since(2)) == {("unit/u1", 0): 3}


async def test_rows_of_several_parents_are_found_together(store):
    other = row("step", "s3", {**signed(3).row.fields, "target": "t2"}, "phone/0/3")
    await committed(store, commit(1, signed(1)), commit(2, signed(2)), commit(3, other))
    found = await store.read(lambda txn: txn.families("step", ["t1", "t2", "t3"]))
    assert [one.row.id for one in found] == ["s1", "s2", "s3"]
    assert await store.read(lambda txn: txn.families("step", [])) == []


async def test_records_under_several_prefixes_are_found_together(store):
    def work(txn):
        for key in ("a 1", "a 2", "ab", "b 1", "c"):
            txn.put("line", key, {"of": key})

    await store.write(work)
    found = await store.read(lambda txn: txn.find_each("line", ["a ", "c", "d"]))
    assert sorted(found) == ["a 1", "a 2", "c"]


async def test_a_row_that_moves_often_in_one_commit_stands_as_it_was_last(store):
    def said(text):
        fields = {**signed(1).row.fields, "note": text}
        return replace(signed(1), row=replace(signed(1).row, fields=fields))

    gone = Member("unit/u1", 0, "step", "s1", False)
    await committed(store, commit(1, said("a")), commit(2, said("b"), members=[gone]))
    await committed(store, commit(3, said("c"), members=[]), commit(4, said("d"), members=[]))
    last = (await store.read(lambda txn: txn.rows([("step", "s1")])))["step", "s1"].row
    assert (last.fields["note"], last.seq) == ("d", 4)
    assert await store.read(lambda txn: sums_of(txn, "centre")) == {0: digest_of(last)}
    assert await store.read(lambda txn: sums_of(txn, "unit/u1")) == {0: 0}
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 1, 10**6))
    assert (part.page.rows, part.page.out, part.page.next) == ([], [("step", "s1")], 2)


async def test_whatever_somebody_asks_for_is_answered(store):
    odd = "a\0b"
    assert await store.read(lambda txn: txn.get("login", odd)) is None
    assert await store.read(lambda txn: txn.find("login", odd)) == {}
    assert await store.read(lambda txn: txn.find_each("login", [odd])) == {}
    assert await store.read(lambda txn: txn.rows([("step", odd)])) == {}
    assert await store.read(lambda txn: txn.logged([f"{odd}/0/1"])) == {}
    assert await store.read(lambda txn: sums_of(txn, odd)) == {}
    await store.write(lambda txn: txn.put("login", odd, {"n": 1}))
    assert await store.read(lambda txn: txn.get("login", odd)) == {"n": 1}


async def test_records_are_found_together_as_they_are_one_by_one(store):
    def work(txn):
        for key in ("a", "b", "c"):
            txn.put("code", key, {"is": key})
        txn.delete("code", "b")
        return txn.get_each("code", ["c", "nobody", "b", "a"]), txn.get_each("code", [])

    assert await store.write(work) == ({"a": {"is": "a"}, "c": {"is": "c"}}, {})
    found = await store.read(lambda txn: txn.get_each("code", ["c", "nobody", "b", "a"]))
    assert found == {"a": {"is": "a"}, "c": {"is": "c"}}


async def test_a_transaction_that_read_a_record_sees_what_it_wrote_there_since(store):
    def work(txn):
        told = [txn.get("code", "a")]
        txn.put("code", "a", {"is": 1})
        told.append(txn.get("code", "a"))
        told[-1]["is"] = "changed by whoever read it"
        told.append(txn.get("code", "a"))
        txn.delete("code", "a")
        return [*told[::2], txn.get("code", "a"), txn.find("code")]

    assert await store.write(work) == [None, {"is": 1}, None, {}]


async def test_a_transaction_that_read_very_many_records_still_finds_each(store):
    def work(txn):
        txn.put_each("code", {f"k{n}": {"is": n} for n in range(REMEMBERED_MAX + 9)})
        txn.get_each("code", [f"k{n}" for n in range(REMEMBERED_MAX)])
        txn.get("code", "nobody")
        return txn.get_each("code", ["k0", f"k{REMEMBERED_MAX + 8}", "nobody"])

    found = await store.write(work)
    assert found == {"k0": {"is": 0}, f"k{REMEMBERED_MAX + 8}": {"is": REMEMBERED_MAX + 8}}


async def test_a_kind_is_there_as_long_as_one_of_its_records_is(store):
    def work(txn):
        told = [txn.any_of("code")]
        txn.put("code", "a", {})
        told.append(txn.any_of("code"))
        txn.delete("code", "a")
        return [*told, txn.any_of("code")]

    assert await store.write(work) == [False, True, False]


async def test_a_pair_stands_where_something_last_moved_in_it(store):
    await committed(store, commit(1, signed(1)), commit(2, signed(2, unit="u2")))
    stands = await store.read(lambda txn: txn.stands(["unit/u1", "unit/u2", "unit/none"]))
    assert {pair: stand.seq for pair, stand in stands.items()} == {
        ("unit/u1", 0): 1,
        ("unit/u2", 0): 2,
    }
