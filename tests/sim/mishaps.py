"""What befalls a stick on its way. A bundle that is refused must change nothing at all."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from sync.bundle import Trust, pack, unpack
from sync.bundle_parts import BundleError, BundleFault, Contents, SignedRun
from sync.mutation import hash_of, signing_bytes
from tests.sim.broken import Broken
from tests.sim.disk import CENTRE
from tests.sim.landing import (
    REGISTERED,
    UNREGISTERED,
    Stick,
    land,
    open_at_device,
    settle,
    verify,
)

if TYPE_CHECKING:
    from tests.sim.ferry import Action, Ferry

ELSEWHERE = "elsewhere"
"""Another installation."""

BAD_COPY = {BundleFault.TRUNCATED, BundleFault.DAMAGED, BundleFault.MAGIC, BundleFault.FORMAT}
BAD_COPY |= {BundleFault.TOO_LARGE, BundleFault.TRAILING}
ASTRAY = {BundleFault.REALM, BundleFault.TARGET, BundleFault.SIGNER}


def lose(ferry: "Ferry", stick: Stick, action: "Action") -> str:
    """Nobody ever sees it again."""
    ferry.way.remove(stick)
    ferry.world.faults["stick_lost"] += 1
    return "lost"


def cut(ferry: "Ferry", stick: Stick, action: "Action") -> str:
    """It was pulled out too early."""
    _refuse(ferry, stick.to, stick.data[: action["r"] % len(stick.data)], BAD_COPY)
    ferry.world.faults["stick_truncated"] += 1
    return "cut off"


def flip(ferry: "Ferry", stick: Stick, action: "Action") -> str:
    """One bit of it is another."""
    data = bytearray(stick.data)
    data[action["r"] % len(data)] ^= 1 << action["r"] % 7
    _refuse(ferry, stick.to, bytes(data), BAD_COPY)
    ferry.world.faults["stick_flipped"] += 1
    return "changed"


def go_astray(ferry: "Ferry", stick: Stick, action: "Action") -> str:
    """Whoever it is not for lets it be; the carrier goes on to where it belongs."""
    living = [one.life for one in ferry.world.handsets if ferry.holder(one.life)]
    places = [ELSEWHERE, CENTRE, *(one.name for one in ferry.counties), *living]
    others = [place for place in places if place not in (stick.to, stick.origin)]
    other = others[action["r"] % len(others)]
    _refuse(ferry, other, stick.data, ASTRAY)
    ferry.world.faults["stick_wrong_server"] += 1
    return f"at {other}"


def forge(ferry: "Ferry", stick: Stick, action: "Action") -> str:
    """Somebody has the stick, and writes on it what suits them."""
    thief, origin = ferry.world.make_seal(b"thief"), ferry.signer(stick.origin)
    trust = Trust(ferry.realm, stick.to, {stick.origin: (origin.public,)}, None)
    bundle = unpack(stick.data, trust, verify)
    header, runs = bundle.header, bundle.contents.runs
    heading = replace(
        ferry.heading(header.origin, header.to, header.epoch, header.carrier), basis=header.basis
    )
    ferry.world.faults["stick_forged"] += 1
    kind = action["r"] % 3
    if kind == 0 or not runs or stick.carrier == UNREGISTERED:
        forged = pack(heading, bundle.contents, thief.sign)
        _refuse(ferry, stick.to, forged, {BundleFault.SIGNATURE})
        return "forged"
    run = runs[action["r"] % len(runs)]
    if run.replica not in ferry.enrolled():
        return "stranger"
    run = _reworded(run) if kind == 1 else _stolen(run, ferry.realm, thief)
    data = pack(heading, Contents((run,)), origin.sign)
    _refuse_run(ferry, replace(stick, data=data), run)
    return "run forged"


def _reworded(run: SignedRun) -> SignedRun:
    """Under the author's own signature, other words."""
    words = bytearray(run.mutations[-1])
    words[len(words) // 2] ^= 1
    return replace(run, mutations=(*run.mutations[:-1], bytes(words)))


def _stolen(run: SignedRun, realm: str, thief: Any) -> SignedRun:
    """Under the author's name, and the thief's key."""
    hash = hash_of(run.mutations[-1])
    signed = signing_bytes(realm, run.replica, run.lane, run.last, hash)
    return replace(run, key=thief.public, sig=thief.sign(signed))


def _refuse(ferry: "Ferry", at: str, data: bytes, wanted: set[BundleFault]) -> None:
    """A bad bundle is refused for one of these reasons, and nothing at all has changed."""
    ferry.centre_key()  # Starting the centre is no part of this.
    before = _state(ferry, at)
    try:
        _open_at(ferry, at, data)
    except BundleError as error:
        if error.fault not in wanted:
            raise Broken("refusal", f"{error.fault}, not one of {sorted(wanted)}") from None
    else:
        raise Broken("bad_bundle", f"{at} took one that is {' or '.join(sorted(wanted))}")
    if _state(ferry, at) != before:
        raise Broken("refused_changed", f"{at} is not as it was")


def _refuse_run(ferry: "Ferry", stick: Stick, run: SignedRun) -> None:
    """A bundle may be good and a run in it not: of that, nothing is taken."""
    ferry.centre_key()
    before = _state(ferry, CENTRE)
    landed = ferry.land(stick, {})
    if landed is None or [one.run for one in landed.plan.refused] != [run]:
        raise Broken("unproven", f"{run.replica}/{run.lane}/{run.first} was taken")
    if _state(ferry, CENTRE) != before:
        raise Broken("refused_changed", "the centre is not as it was")


def _open_at(ferry: "Ferry", at: str, data: bytes) -> None:
    centre = ferry.world.centre
    county, handset = ferry.county(at), ferry.holder(at)
    keys = ferry.device_keys() | ferry.speakers()
    signers = {name: (key,) for name, key in keys.items()}
    if at == CENTRE:
        centre.run(land(centre, data, ferry.county_keys(), REGISTERED))
    elif handset:
        settle(handset.device, open_at_device(handset.device, data, ferry.speakers()))
    elif county:
        unpack(data, Trust(ferry.realm, county.name, signers, REGISTERED), verify)
    else:
        unpack(data, Trust(at, CENTRE, signers, REGISTERED), verify)


def _state(ferry: "Ferry", at: str) -> Any:
    """All that there is at one place."""
    if at == CENTRE:
        return ferry.world.centre.disk.image()
    if county := ferry.county(at):
        return msgspec.json.encode(county.books)
    handset = ferry.holder(at)
    return handset.device.image() if handset else None


MISHAPS: dict[str, Callable[["Ferry", Stick, "Action"], str]] = {
    "stick_lost": lose,
    "stick_truncated": cut,
    "stick_flipped": flip,
    "stick_wrong_server": go_astray,
    "stick_forged": forge,
}
