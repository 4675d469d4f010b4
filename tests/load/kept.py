"""What must be there after a load: every word and photo that was answered, and the order."""

import hashlib
import time
from bisect import bisect_left
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from schema.versions import MINUTE_MS
from schema.wire import SyncReply
from server.cli.centre import open_for
from server.config import Config
from server.store.protocol import Read
from sync.mutation import dot_of
from tests.bench.centre import Made
from tests.bench.line import Line, request
from tests.crash import truth
from tests.crash.client import Told
from tests.load.phones import Phones, Sent
from tests.load.words import Photo, Script


class Order(Struct, frozen=True):
    """The newest order: when it was judged, just before its commit, by the clock of this machine's
    `time.monotonic`; and the seq to which it moved each unit's scope."""

    judged: float
    seqs: dict[str, int]


async def newest_order(made: Made) -> Order:
    """As the log has it, of a centre that may be served meanwhile."""
    store = await open_for(_config(made))
    found = await store.read(_newest_order)
    await store.close()
    return found


def _newest_order(read: Read) -> Order:
    id = read.children("directive", None)[-1].row.id
    units = {one.row.dot: one.row.fields["unit"] for one in read.children("target", id)}
    logged = read.logged(units)
    seqs = {f"unit/{units[dot]}": one.verdict.seq for dot, one in logged.items()}
    now_ms, now = read.now_ms(), time.monotonic()
    past = range(now_ms - 60 * MINUTE_MS, now_ms)
    received_ms = past[bisect_left(past, min(seqs.values()), key=read.seq_before)]
    return Order(now - (now_ms - received_ms) / 1000, seqs)


async def unread_photos(port: int, made: Made, script: Script, phones: Phones) -> list[str]:
    """Photos that were taken whole, and that a colleague of whoever sent them is not given."""
    whole = [one for one in script.photos if phones.photos[one.sha256].done]
    wrong = []
    for photo in whole:
        line = await Line.to(port)
        asked = request("GET", f"/v1/blob/{photo.sha256}", _colleague(made, photo))
        answer = await line.ask(asked)
        line.close()
        if hashlib.sha256(answer.body).hexdigest() != photo.sha256:
            wrong.append(f"photo {photo.sha256}: read back as {answer.status}")
    return wrong


def _colleague(made: Made, photo: Photo) -> dict[str, str]:
    """The headers of another phone of the unit; of the phone itself where it is alone."""
    me = photo.words.writer
    others = (one for one in made.writers if one.reply.unit == me.reply.unit and one is not me)
    return next(others, me).headers


async def lost(made: Made, script: Script, phones: Phones) -> list[str]:
    """What was not answered as it should be, and what was but is not there, once; in words.

    AssertionError where the log itself is not whole.
    """
    told = list(_told(script, phones))

    def work(read: Read) -> list[str]:
        truth.check_chain(read, truth.lines_of(read, _every_dot(made)))
        return truth.lost_words(read, told) + truth.lost_photos(made.folder, read, told, {})

    store = await open_for(_config(made))
    found = await store.read(work)
    await store.close()
    return _refused(script, phones, told) + found


def _told(script: Script, phones: Phones) -> Iterator[Told]:
    """What the phones were told and may rely on."""
    for words in script.words:
        sent = phones.words[words.dot]
        if sent.done and sent.answer:
            for verdict in msgspec.json.decode(sent.answer.body, type=SyncReply).verdicts:
                yield Told(verdict, words.raw)
    for sha256, sent in phones.photos.items():
        if sent.done:
            yield Told(photo=sha256)


def _refused(script: Script, phones: Phones, told: list[Told]) -> list[str]:
    """Everything that was said and not taken."""
    stands = {one.verdict.dot for one in told if one.verdict and one.verdict.verdict in truth.BASIC}
    words = [(one.dot, phones.words[one.dot]) for one in script.words if one.dot not in stands]
    photos = [(sha256, one) for sha256, one in phones.photos.items() if not one.done]
    return [f"{what}: {_answered(sent)}" for what, sent in words + photos]


def _answered(sent: Sent) -> str:
    if sent.answer is None:
        return "no answer"
    return f"{sent.answer.status} {sent.answer.body[:200].decode(errors='replace')}"


def _every_dot(made: Made) -> list[str]:
    """Everything that the phones have ever written."""
    return [
        dot_of(one.reply.replica, lane, n + 1)
        for one in made.writers
        for lane, tip in one.tips.items()
        for n in range(tip.n)
    ]


def _config(made: Made) -> Config:
    return Config(data=made.folder, store=made.store)
