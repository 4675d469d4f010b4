"""The page in plain words inside a bundle: what this file is, for whoever finds or carries it."""

from msgspec import Struct

from schema.versions import LANES
from schema.words import LANGUAGES, say
from sync.bundle import Heading
from sync.bundle_parts import Contents


class Said(Struct, frozen=True):
    """Names and times as people read them: the two centres, and when the file was made."""

    origin: str
    to: str
    made: str


def page_of(heading: Heading, contents: Contents, said: Said) -> str:
    """What is inside, in every language one after the other. No name can add a line of its own."""
    origin, to, made = (" ".join(text.split()) for text in (said.origin, said.to, said.made))
    told = {
        "origin": f"{origin} ({heading.origin})",
        "to": f"{to} ({heading.to})",
        "made": made,
        "number": heading.number,
        "carrier": heading.carrier or "—",
    }
    of_lane = dict.fromkeys(LANES, 0)
    for run in contents.runs:
        of_lane[run.lane] += len(run.mutations)
    counts = {f"lane.{lane}": n for lane, n in of_lane.items()}
    counts["verdicts"] = len(contents.verdicts)
    counts["rows"] = sum(len(page.rows) for page in contents.rows)
    counts["blobs"] = len({chunk.sha256 for chunk in contents.chunks})
    pages = []
    for language in LANGUAGES:
        lines = [say(language, "bundle.inside.title")]
        lines += [
            say(language, f"bundle.inside.{name}", value=value) for name, value in told.items()
        ]
        lines += [say(language, f"bundle.inside.{name}", n=n) for name, n in counts.items() if n]
        lines.append(say(language, "bundle.inside.use"))
        pages.append("\n".join(lines) + "\n")
    return "\n".join(pages)
