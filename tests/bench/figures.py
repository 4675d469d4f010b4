"""Every figure by name: what it says, and the bar that it must reach."""

from msgspec import Struct


class Figure(Struct, frozen=True):
    """A number to reach. `bar` is the least for `at_least`, else the most; None: only printed."""

    name: str
    title: str
    bar: float | None
    at_least: bool = True
    unit: str = "×"
    stretch: float | None = None

    def met(self, value: float) -> bool | None:
        """Whether the bar is reached; None where there is none."""
        if self.bar is None:
            return None
        return value >= self.bar if self.at_least else value <= self.bar


_PUSH = "durable pushes in batches of 100"
_SINGLE = "single durable pushes, 64 at once"
_PULL = "pull of 10,000 changed rows"

_FIGURES = (
    Figure("push_vs_raw", f"{_PUSH}, facts, to raw SQLite", 0.3, stretch=0.4),
    Figure("push_mixed_vs_raw", f"{_PUSH}, half of them edits, to raw SQLite", None),
    Figure("push_vs_kinto", f"{_PUSH}, to Kinto on PostgreSQL", 40, stretch=50),
    Figure("push_vs_pouchdb", f"{_PUSH}, to pouchdb-server", 2.5, stretch=4),
    Figure("single_vs_kinto", f"{_SINGLE}, to Kinto on PostgreSQL", 10),
    Figure("single_vs_pouchdb", f"{_SINGLE}, to pouchdb-server", 5),
    Figure("pull_vs_raw", f"{_PULL}, to raw SELECT and JSON", 0.5),
    Figure("pull_vs_kinto", f"{_PULL}, to Kinto on PostgreSQL", 5),
    Figure("pull_vs_pouchdb", f"{_PULL}, to pouchdb-server", 10),
    Figure(
        "fanout_vs_raw",
        "order committed → in the hands of all live sockets, p99, to a bare broadcast",
        2,
        at_least=False,
    ),
    Figure("sockets", "live devices on one node at once, none dropped", 10_000, unit=""),
    Figure("kib_per_socket", "memory of each live device", 40, at_least=False, unit="KiB"),
    Figure("kib_per_socket_tls", "the same where the process ends TLS itself", None, unit="KiB"),
    Figure(
        "receipts_5000_s", "5,000 receipts of one order, all committed", 3, at_least=False, unit="s"
    ),
    Figure(
        "receipts_lane_0_p99",
        "p99 of other urgent pushes meanwhile, to the same without the receipts",
        2,
        at_least=False,
    ),
    Figure("herd_median_s", "100 first syncs of 10,000 rows at once", 3, at_least=False, unit="s"),
    Figure("herd_failed", "of these, failed", 0, at_least=False, unit=""),
    Figure(
        "load_push_p99_ms",
        "p99 of a push with 3,000 sockets, 200 receipts and 20 photos a second, an order to all",
        300,
        at_least=False,
        unit="ms",
    ),
    Figure(
        "load_fanout_p99_ms",
        "order judged → known to all live sockets, p99, under this load",
        2_000,
        at_least=False,
        unit="ms",
    ),
    Figure(
        "load_lost",
        "words, photos and sockets lost under this load",
        0,
        at_least=False,
        unit="",
    ),
    Figure("pull_growth", "cost of a pull in a large log, to a small one", 1.3, at_least=False),
    Figure("push_growth", "cost of a push in a large log, to a small one", 1.5, at_least=False),
    Figure(
        "catchup_bytes_ratio",
        "bytes for a phone back after 8 h, to gzip of the rows that changed",
        1.2,
        at_least=False,
    ),
    Figure("catchup_round_trips", "round trips for it", 1, at_least=False, unit=""),
    Figure("idle_rss_mib", "memory of a server that idles", 90, at_least=False, unit="MiB"),
)

FIGURES: dict[str, Figure] = {figure.name: figure for figure in _FIGURES}
