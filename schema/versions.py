"""Versions and limits of the wire, with units last in each name."""

PROTOCOL_VERSION = 2
"""History:
1 — first release.
2 — snapshots, digests, restarts, epochs with offers, `void`, `quarantine`, tags, homes. Additive.
"""

PROTOCOL_OLDEST = 1
"""Pushes of every version since this one are taken."""

CONTRACT_HASH = "b94403a10dc727edad67cf5677db50bb889eb8fc7c9641a95e66eea119be4ab4"
"""`schema.emit.contract_hash()` of the wire as it stands. Before a change of the wire may be pinned
here it must be additive; else `PROTOCOL_VERSION` and its history grow by one."""

SCHEMA_VERSION = 2

SECOND_MS = 1_000
MINUTE_MS = 60_000

LANES: tuple[int, ...] = (0, 1, 2, 3, 4)
"""0 orders and their answers, 1 tasks and feedback, 2 register, 3 positions, 4 history, blobs."""

CHANGES_PER_MUTATION_MAX = 512
MUTATIONS_PER_PUSH_MAX = 500
LANE_0_MUTATION_BYTES_MAX = 2_048
MUTATION_BYTES_MAX = 131_072
PUSH_BYTES_MAX = 4 * 1024 * 1024
PULL_BYTES_MIN = 4 * 1024
PULL_BYTES_MAX = 4 * 1024 * 1024
THUMB_BYTES_MAX = 8 * 1024
BLOB_BYTES_MAX = 32 * 1024 * 1024
BLOB_CHUNK_BYTES_MAX = 1024 * 1024
N_MAX = 2**31 - 1
"""Mutations that one replica can number in one lane."""

SAFE_INT_MAX = 2**53 - 1
TIME_MS_MIN = 946_684_800_000
TIME_MS_MAX = 4_102_444_800_000
"""The years 2000 to 2100: what any clock of ours can mean."""

LAT_E6_MAX = 90_000_000
LON_E6_MAX = 180_000_000
METRES_MAX = 100_000_000
DRIFT_MS_MAX = 5 * MINUTE_MS
"""A stamp further ahead than this is restamped at receipt, its claim kept."""

CLOCK_OFF_MS_MAX = 2 * MINUTE_MS
"""A device whose own clock is further off than this has a wrong clock, and people are told."""

DAY_MS = 24 * 60 * MINUTE_MS
HELD_MS = 5 * DAY_MS
"""A mutation that waits this long for what it builds on is quarantined."""

SENT_MS = 14 * DAY_MS
"""Sent work stays on the device this long when no backup covers it."""

GONE_MS = 90 * DAY_MS
"""Tombstones and `out` entries are sent this long; an older replica starts its pairs anew."""
