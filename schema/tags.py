"""Tags of a verdict: it stands, and a person should know this of it."""

from enum import StrEnum


class Tag(StrEnum):
    """A remark on a mutation that was taken. Its sentence is in `i18n` under `tag.*`."""

    CLOCK_AHEAD = "clock_ahead"
    """Its stamp was over 5 minutes ahead: restamped at receipt. The device resets its clock."""

    CLOCK_OFF = "clock_off"
    """Its device's own clock was over 2 minutes off when it was sent. Stamps are corrected, so it
    only says that somebody should set that clock."""

    BEFORE_CUT = "before_cut"
    """Judged by the rights that its author had when it was written."""

    RELEASED = "released"
    """Was quarantined, and let in by a duty officer."""

    REOFFERED = "reoffered"
    """Came back from a device after the centre was restored from a backup."""

    MEETS_REMOVAL = "meets_removal"
    """A row that others had edited meanwhile was removed: a Conflict shows their words."""

    AFTER_CLOSE = "after_close"
    """Came after its incident was closed: a supplement (补录)."""
