"""The inbox's lists in pages: a page reads what it shows, its order holds, and counts are true."""

import re

import pytest

from schema.wire import Change, Row, Verdict
from schema.words import say
from server.accounts import new_login
from server.batch import keep_words
from server.offers import note_seen
from server.shelves import STRANGERS
from server.store.sqlite import SqliteTxn
from server.waiting import (
    CONFLICTS,
    LOST,
    PAGE_LINES,
    QUARANTINE,
    SEEN,
    WORDS,
    index_waiting,
    waiting_count,
)
from sync.mutation import void_id
from sync.quarantine import row_id
from tests.server.test_web import PASSWORD, sign_in
from tests.server.world import small_centre
from tests.sync.builders import NOW

MANY = 2 * PAGE_LINES + 20


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        await new_login(made.engine, "lead", PASSWORD, "lead")
        await sign_in(made)
        yield made


async def refused(world, n):
    """Steps of a round that there never was."""
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    dots = []
    for _ in range(n):
        dots.append(phone.step("received", round=9))
        world.time.now += 1000
        await phone.sync()
    return [row_id(dot) for dot in dots]


async def lost(world, n):
    """Numbers whose words a device lost."""
    phone = await world.device("phone", "phone")
    replica, ids = phone.reply.replica, []
    for number in range(1, n + 1):
        ids.append(void_id(replica, 1, number))
        fields = {"replica": replica, "of_lane": 1, "n": number, "lost": None}
        fields |= {"reason": "corrupt", "at": NOW}
        phone.write("lane.void", 1, Change("create", "void", ids[-1], fields))
        world.time.now += 1000
        await phone.sync()
    return ids[::-1]


async def words(world, n):
    """Bytes that nobody can read."""
    hashes = [f"{i:064x}" for i in range(n)]

    def work(txn):
        for i, hash in enumerate(hashes):
            verdict = Verdict("", hash, "refused", 0, "bad_mutation")
            keep_words(txn, STRANGERS, verdict, b"x", NOW + i)

    await world.engine.store.write(work)
    return [row_id(f" {hash}") for hash in hashes]


async def seen(world, n):
    """Rows that only a device has after a restore."""
    phone = await world.device("phone", "phone")
    stamp = f"{NOW:012x}-0000-gone"
    rows = [Row("feedback", f"f{i}", 9, f"gone/1/{i + 1}", stamp, "", NOW, {}) for i in range(n)]

    def work(txn):
        txn.put("epoch", "1-lost", {"fork": 1})
        for i, row in enumerate(rows):
            note_seen(txn, [row], phone.reply.replica, NOW + i)

    await world.engine.store.write(work)
    return [row_id(f"feedback/{row.id}") for row in rows]


async def disputed(world, n):
    """Phone numbers that two people changed without seeing each other's change."""
    fields = {"unit": "u1", "contact": "c1", "kind": "mobile", "number": "1"}
    ids = [f"q{i:03}" for i in range(n)]
    await world.engine.load([Change("create", "contact_phone", id, fields) for id in ids])
    tablet = await world.device("duty", "tablet")
    await tablet.settle()
    for id in ids:
        tablet.write("contact.edit", 2, Change("set", "contact_phone", id, {"number": "2"}))
    for id in ids:
        base = {f"contact_phone/{id}": {"number": ((await world.row("contact_phone", id)).dot,)}}
        change = Change("set", "contact_phone", id, {"number": "3"})
        await world.engine.act(world.lead, "contact.edit_any", [change], base)
    for saved in list(tablet.replica.outbox):
        tablet.replica.outbox, rest = [saved], tablet.replica.outbox[1:]
        world.time.now += 1000
        await tablet.sync()
        tablet.replica.outbox = rest
    found = await world.engine.store.read(lambda txn: txn.children("conflict", None))
    return [one.row.id for one in sorted(found, key=lambda one: one.row.seq)]


LISTS = {
    "conflicts": (disputed, "conflict", CONFLICTS, "desk.inbox.open"),
    "kept": (refused, "kept", QUARANTINE, "desk.kept.title"),
    "words": (words, "words", WORDS, "desk.words.title"),
    "seen": (seen, "seen", SEEN, "desk.seen.title"),
    "lost": (lost, "void", LOST, "desk.void.title"),
}
EACH = pytest.mark.parametrize("name", LISTS)


def section(html, name):
    return html.partition(f'<section aria-labelledby="h-{name}">')[2].partition("</section>")[0]


async def shown(world, name, page):
    """One page of a list: its entries, and the section that holds them."""
    html = (await world.client.get(f"/desk/inbox?{name}={page}")).text
    found = section(html, name)
    return re.findall(rf'id="{LISTS[name][1]}-([\w-]+)"', found), found


@EACH
async def test_a_long_list_comes_in_pages_in_its_order_with_the_true_count(world, name):
    ids = await LISTS[name][0](world, MANY)
    pages = [await shown(world, name, page) for page in (1, 2, 3)]
    assert [len(of) for of, _ in pages] == [PAGE_LINES, PAGE_LINES, 20]
    assert [id for of, _ in pages for id in of] == ids
    for _, html in pages:
        assert f'<span class="muted">{MANY}</span></h2>' in html


async def test_the_links_between_pages_say_where_they_lead_and_put_the_focus_there(world):
    await words(world, MANY)
    _, html = await shown(world, "words", 2)
    label = say("zh-CN", "desk.pages.of", list=say("zh-CN", "desk.words.title"))
    assert f'<nav class="pages row" aria-label="{label}">' in html
    assert 'rel="prev" href="?#h-words"' in html and 'rel="next" href="?words=3#h-words"' in html
    assert say("zh-CN", "desk.pages.on", n=20) in html
    assert say("zh-CN", "desk.pages.at", n=2, total=3) in html
    assert '<h2 id="h-words" tabindex="-1">' in html
    _, last = await shown(world, "words", 3)
    assert 'rel="next"' not in last


async def test_a_list_that_fits_one_page_has_no_links(world):
    await words(world, PAGE_LINES)
    of, html = await shown(world, "words", 1)
    assert len(of) == PAGE_LINES and "<nav" not in html


@pytest.mark.parametrize("asked", ["99999999999", "0", "-1", "x", "", "９"])
async def test_a_page_that_is_not_there_shows_the_nearest_that_is(world, asked):
    await words(world, PAGE_LINES + 1)
    of, _ = await shown(world, "words", asked)
    assert len(of) in (1, PAGE_LINES)


async def test_another_page_of_one_list_leaves_the_others_where_they_are(world):
    await words(world, MANY)
    await seen(world, MANY)
    html = (await world.client.get("/desk/inbox?words=2&seen=3")).text
    assert 'href="?words=3&amp;seen=3#h-words"' in html
    assert 'hx-get="/desk/inbox?words=2&amp;seen=3"' in html, "the live part asks for the same"


@EACH
async def test_a_page_reads_no_more_of_a_list_than_it_shows(world, name, monkeypatch):
    make, _, entity, _ = LISTS[name]
    await make(world, MANY)
    read = set()
    for method in ("rows", "get"):
        whole = getattr(SqliteTxn, method)

        def counted(self, *asked, whole=whole):
            keys = [asked] if len(asked) == 2 else asked[0]
            read.update(key for key in keys if key[0] == entity)
            return whole(self, *asked)

        monkeypatch.setattr(SqliteTxn, method, counted)

    def refuse(self, entity_or_kind, of=None):
        assert entity_or_kind != entity, "read as a whole"
        return []

    monkeypatch.setattr(SqliteTxn, "children", refuse)
    monkeypatch.setattr(SqliteTxn, "find", refuse)
    await shown(world, name, 2)
    assert len(read) == PAGE_LINES


async def test_a_decision_leads_back_to_the_pages_where_it_was_made(world):
    ids = await words(world, MANY)
    at = "http://127.0.0.1/desk/inbox?words=2&told=x&other=9"
    csrf = re.search(r'name="csrf" value="([^"]+)"', (await world.client.get("/desk")).text)[1]
    path = f"/desk/beside/words/{ids[60]}/close"
    done = await world.client.post(path, data={"csrf": csrf}, headers={"referer": at})
    assert done.headers["location"] == "/desk/inbox?words=2"


async def test_what_was_dealt_with_is_told_newest_first_and_no_more_than_a_page_of_it(world):
    ids = await words(world, PAGE_LINES + 1)
    csrf = re.search(r'name="csrf" value="([^"]+)"', (await world.client.get("/desk")).text)[1]
    for id in ids:
        world.time.now += 1000
        await world.client.post(f"/desk/beside/words/{id}/close", data={"csrf": csrf})
    html = (await world.client.get("/desk/inbox")).text
    done = re.findall(r'id="words-(\w+)"', html.partition('id="kept-done"')[2])
    assert done == ids[:0:-1]


async def test_a_database_that_kept_no_lists_gets_them_when_it_is_opened(world):
    for make, *_ in LISTS.values():
        await make(world, 3)
    store, names = world.engine.store, [one[2] for one in LISTS.values()]

    def counts(txn):
        return [waiting_count(txn, name) for name in names]

    def forget(txn):
        for kind in ("waits", "done", "listed", "unproven"):
            for key in txn.find(kind):
                txn.delete(kind, key)

    before = await store.read(counts)
    await store.write(forget)
    assert await store.read(counts) == [0] * len(names)
    await world.reopened_without_indexes()
    assert await store.read(counts) == before == [3] * len(names)
    await store.write(index_waiting)
    assert await store.read(counts) == before, "what stands in its place stays there"
