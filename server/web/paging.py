"""Long lists in pages: which page of each a request asks for, and the addresses of the others."""

from collections.abc import Mapping
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from server.waiting import Part
from server.web.render import back_to

T = TypeVar("T")
PAGE_MAX = 1_000_000
INBOX = "/desk/inbox"
INBOX_LISTS = ("conflicts", "kept", "words", "seen", "lost")


class Listed(Struct, Generic[T], frozen=True):
    """The entries that a page of a list shows, and which part of the list that is."""

    shown: list[T]
    part: Part


class Pages:
    """The pages that an address asks for, by the name of the list: `?kept=2&lost=3`."""

    def __init__(self, query: Mapping[str, str], *names: str) -> None:
        self._asked = {name: _number(query.get(name, "")) for name in names}

    def __getitem__(self, name: str) -> int:
        return self._asked[name]

    def __str__(self) -> str:
        """The query that asks for the same pages again; nothing for the first of all lists."""
        return self.query()

    def query(self, **more: object) -> str:
        """The query that asks for the same pages and for `more`."""
        query = urlencode({name: page for name, page in self._asked.items() if page > 1} | more)
        return f"?{query}" if query else ""

    def to(self, name: str, page: int) -> str:
        """The address of another page of one list, the others as they are."""
        asked = {of: str(number) for of, number in self._asked.items()} | {name: str(page)}
        return f"{Pages(asked, *asked).query() or '?'}#h-{name}"


def to_inbox(request: Request, **more: object) -> Response:
    """After a decision: the inbox at the pages where it was made, as far as the browser tells."""
    before = dict(parse_qsl(urlsplit(request.headers.get("referer", "")).query))
    return back_to(INBOX + Pages(before, *INBOX_LISTS).query(**more))


def _number(asked: str) -> int:
    """A page's number as an address names it; the first for anything else."""
    known = asked.isascii() and asked.isdigit() and len(asked) <= len(str(PAGE_MAX))
    return max(1, min(int(asked), PAGE_MAX)) if known else 1
