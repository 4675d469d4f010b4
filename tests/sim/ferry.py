"""Bundles between devices, counties and the centre: by stick with all its bad luck, or by wire."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from sync.bundle import Heading, pack
from sync.bundle_parts import BundleError, BundleFault, Contents, Coverage, HomeVerdict
from sync.bundle_plan import asked_of
from sync.vector import vector_of
from tests.sim.ashore import heal
from tests.sim.broken import Broken
from tests.sim.centre import Crashed, Trouble
from tests.sim.county import County
from tests.sim.disk import CENTRE, FULL
from tests.sim.handset import Handset, check_verdicts, check_words
from tests.sim.landing import (
    COUNTY,
    REGISTERED,
    UNREGISTERED,
    Landed,
    Stick,
    dots_in,
    land,
    log_vector,
    open_at_device,
    settle,
)
from tests.sim.mishaps import MISHAPS
from tests.sim.town import UNITS

if TYPE_CHECKING:
    from tests.sim.world import World

Action = dict[str, Any]

STICKS_MAX = 12
SMALL_ROOM = 3_000


class Ferry:
    """Everything that does not go by a device's own network, on top of one world."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.way: list[Stick] = []
        self.written: list[Stick] = []
        self.numbers: Counter[tuple[str, str]] = Counter()
        self.newest: dict[tuple[str, str], int] = {}
        self.realm = world.centre.realm()
        self.counties = [
            County(f"{COUNTY}{n}", self.realm, world.make_seal(f"{COUNTY}{n}".encode()))
            for n in range(world.setup.get("counties", 0))
        ]

    def step(self, action: Action) -> str:
        """Do one of `pack`, `carry`, `relay` and `exchange`, and say what came of it."""
        told: str = getattr(self, "_" + action["what"])(action)
        return told

    # --- Who is there -------------------------------------------------------------------------

    def holder(self, life: str) -> Handset | None:
        """The living device of this replica, if it is one that reads bundles."""
        of = (one for one in self.world.handsets if one.life == life and not one.gone)
        return next((one for one in of if one.device.carries_sticks), None)

    def county(self, name: str) -> County | None:
        """The county's server of this name."""
        return next((one for one in self.counties if one.name == name), None)

    def signer(self, origin: str) -> Any:
        """Who signs the bundles of this origin."""
        if origin == CENTRE:
            return self.world.centre.run(self.world.centre.open()).node
        if county := self.county(origin):
            return county.seal
        return next(one.device.seal for one in self.world.handsets if one.life == origin)

    def centre_key(self) -> str:
        """The centre's public key; its process has started then."""
        key: str = self.signer(CENTRE).public
        return key

    def county_keys(self) -> dict[str, str]:
        """The keys of the counties' servers."""
        return {one.name: one.seal.public for one in self.counties}

    def device_keys(self) -> dict[str, str]:
        """The keys of all devices that ever were."""
        return {one.life: one.device.seal.public for one in self.world.handsets}

    def speakers(self) -> dict[str, str]:
        """Those whose word a device takes."""
        return {CENTRE: self.centre_key()} | self.county_keys()

    def enrolled(self) -> set[str]:
        """The replicas that the centre knows, read past the store."""
        return self.world.centre.replicas()

    # --- Writing ------------------------------------------------------------------------------

    def heading(self, origin: str, to: str, epoch: str, carrier: str | None) -> Heading:
        """Of the next bundle from here to there."""
        self.numbers[origin, to] += 1
        number, made_at = self.numbers[origin, to], self.world.centre.clock()
        return Heading(self.realm, origin, epoch, number, made_at, to, carrier)

    def stick(self, heading: Heading, data: bytes) -> Stick:
        """The bundle, on a stick or on the wire."""
        revoked = frozenset(one.life for one in self.world.handsets if one.revoked)
        address = (heading.origin, heading.to, heading.number, heading.carrier)
        stick = Stick(*address, data, revoked)
        if stick.carrier:
            self.written = [*self.written, stick][-STICKS_MAX:]
        return stick

    def _set_out(self, stick: Stick) -> None:
        self.way = [*self.way, stick][-STICKS_MAX:]

    def _words(self, handset: Handset, to: str, carrier: str | None) -> Stick | None:
        """A bundle of all that a device has not got durable, for `to`."""
        device = handset.device
        if not device.carries_sticks:
            return None
        runs = device.runs(handset.clock(self.world.now))
        check_words(handset, self.world.model, [])
        if not runs:
            return None
        heading = self.heading(handset.life, to, device.replica.identity.epoch, carrier)
        if to == CENTRE:
            heading = replace(heading, basis=Coverage(vector_of(device.settled())))
        return self.stick(heading, pack(heading, Contents(tuple(runs)), device.seal.sign))

    def _pack(self, action: Action) -> str:
        """Somebody plugs a stick into a device that has no network."""
        handset = self.world._handset(action)
        if handset is None:
            return "nobody"
        found = action["r"] % 19 == 0
        carrier = UNREGISTERED if found else REGISTERED[action["r"] % len(REGISTERED)]
        stick = self._words(handset, CENTRE, carrier)
        if stick is None:
            return "nothing to carry"
        self._set_out(stick)
        return f"{stick.number} of {stick.origin}"

    # --- Carrying -----------------------------------------------------------------------------

    def _carry(self, action: Action) -> str:
        """A stick comes to where it belongs, or not, or not whole."""
        if not self.way:
            return "no stick"
        stick = self.way[action["pick"] % len(self.way)]
        fault = action.get("fault", "")
        if fault in MISHAPS:
            return MISHAPS[fault](self, stick, action) if self.is_there(stick.to) else "nobody"
        self.way.remove(stick)
        told = self.deliver(stick, action)
        if fault == "stick_twice":
            self._set_out(stick)
        return told

    def is_there(self, place: str) -> bool:
        """True when somebody there opens bundles."""
        return bool(place == CENTRE or self.county(place) or self.holder(place))

    def deliver(self, stick: Stick, action: Action) -> str:
        """It comes to where it belongs; on its way again when the centre could not take it."""
        newest = self.newest.get((stick.origin, stick.to), 0)
        try:
            told = self._receive(stick, action)
        except BundleError as error:
            return self._turned_away(stick, error)
        if told == "again":
            self._set_out(stick)
            return told
        if stick.carrier == UNREGISTERED:
            raise Broken("bad_bundle", f"{stick.to} let in a stick that was found")
        if not self.world.healed:
            self.world.faults["stick_stale"] += stick.number < newest
            self.world.faults["stick_twice"] += stick.number == newest
        self.newest[stick.origin, stick.to] = max(newest, stick.number)
        return told

    def _turned_away(self, stick: Stick, error: BundleError) -> str:
        """A whole bundle of ours is refused only for its stick, or when its writer is a stranger.

        A restored centre may not know a device that was enrolled after the backup.
        """
        if error.fault == BundleFault.CARRIER and stick.carrier == UNREGISTERED:
            self.world.faults["stick_unregistered"] += 1
        elif error.fault != BundleFault.SIGNER or stick.origin in self.enrolled():
            raise Broken("good_bundle", f"{stick.number} to {stick.to}: {error}")
        return str(error.fault)

    def _receive(self, stick: Stick, action: Action) -> str:
        if stick.to == CENTRE:
            return self._at_centre(stick, action)
        if county := self.county(stick.to):
            return f"{county.hear(stick.data, self.centre_key(), REGISTERED)} verdicts"
        handset = self.holder(stick.to)
        return self._at_device(handset, stick.data) if handset else "nobody there"

    # --- At the centre ------------------------------------------------------------------------

    def _at_centre(self, stick: Stick, action: Action) -> str:
        """The bundle is taken in, and an answer set out for whoever wrote it."""
        landed = self.land(stick, action)
        if landed is None:
            return "again"
        self._set_out(self._answer(landed, stick.carrier))
        return f"{len(landed.pushed)} pushed, {len(landed.verdicts)} verdicts"

    def land(self, stick: Stick, action: Action) -> Landed | None:
        """What the centre makes of it; None when its process died or its disk was full."""
        world, centre = self.world, self.world.centre
        carriers = None if stick.carrier is None else REGISTERED
        try:
            centre.run(centre.open())
        except FULL:
            return None
        assert centre.store is not None
        trouble = centre.store.trouble = world.trouble(action)
        landed: Landed | None = None
        try:
            landed = centre.run(land(centre, stick.data, self.county_keys(), carriers))
        except (Crashed, *FULL):
            world.states["landed_failed"] += 1
        finally:
            centre.store.trouble = Trouble()
            world.after(trouble)
            world.model.tail()
        if landed:
            self._check_landed(stick, landed)
        return landed

    def _check_landed(self, stick: Stick, landed: Landed) -> None:
        states, fresh = self.world.states, landed.fresh
        check_verdicts(self.world.model, landed.pushed, msgspec.to_builtins(fresh))
        states["landed_fresh"] += bool(landed.pushed)
        states["landed_gaps"] += bool(landed.plan.gaps.vector)
        states["landed_other_log"] += landed.bundle.header.epoch != landed.epoch
        for one in fresh:
            life = one.dot.partition("/")[0]
            if life not in landed.revoked or one.repeat:
                continue
            self.world.faults["stick_old_revocation"] += life not in stick.revoked
            if one.verdict in ("applied", "merged"):
                raise Broken("revoked_applied", one.dot)

    def _answer(self, landed: Landed, carrier: str | None) -> Stick:
        """The verdicts of all that the sender named, and what is asked back of it."""
        header = landed.bundle.header
        heading = self.heading(CENTRE, header.origin, landed.epoch, carrier)
        heading = replace(heading, asks=asked_of(landed.plan.gaps))
        verdicts = Contents(verdicts=tuple(landed.verdicts))
        data = pack(heading, verdicts, self.signer(CENTRE).sign)
        return self.stick(heading, data)

    # --- At a device --------------------------------------------------------------------------

    def _at_device(self, handset: Handset, data: bytes) -> str:
        """Verdicts reach a device; exactly what they name leaves its outbox."""
        bundle = open_at_device(handset.device, data, self.speakers())
        mine = settle(handset.device, bundle)
        check_words(handset, self.world.model, msgspec.to_builtins(mine))
        self.world.states["stick_settled"] += bool(mine)
        return f"{len(mine)} verdicts"

    # --- Counties -----------------------------------------------------------------------------

    def _relay(self, action: Action) -> str:
        """A device cut off from the city hands its words to the county, and hears its verdicts.

        The county's receipt is no verdict: nothing leaves the outbox for it.
        """
        handset = self.world._handset(action)
        if handset is None or not self.counties:
            return "nobody"
        county = self.counties[UNITS.index(handset.unit) % len(self.counties)]
        stick = self._words(handset, county.name, None)
        if stick is None:
            return "nothing to hand over"
        down = action.get("fault") == "county_down"
        self.world.faults["county_down"] += down
        if down and action["r"] % 2:
            return "down"
        waited = dict(handset.device.inspect().outbox)
        receipt = county.take(stick.data, self.device_keys())
        if handset.device.inspect().outbox != waited:
            raise Broken("county_receipt", f"{handset.life} took a receipt for a verdict")
        if down:
            return "no receipt"
        self.world.states["relayed"] += 1
        epoch = handset.device.replica.identity.epoch
        told = county.verdicts_for(handset.life, epoch)
        passed = self._pass_on(county, handset, told) if told else "no verdict"
        return f"{len(dots_in(receipt))} kept, {passed}"

    def _pass_on(self, county: County, handset: Handset, told: tuple[HomeVerdict, ...]) -> str:
        heading = self.heading(county.name, handset.life, county.epoch, None)
        data = pack(heading, Contents(verdicts=told), county.seal.sign)
        self.world.states["passed_on"] += 1
        return self._at_device(handset, data)

    def _exchange(self, action: Action) -> str:
        """A county sends what the city lacks, by wire or by stick, and hears of what it sent."""
        if not self.counties:
            return "no county"
        county = self.counties[action["pick"] % len(self.counties)]
        by_stick = action.get("by") == "stick"
        carrier = REGISTERED[action["r"] % len(REGISTERED)] if by_stick else None
        heading = self.heading(county.name, CENTRE, county.epoch, carrier)
        data = county.export(heading, SMALL_ROOM * (1 if action["r"] % 3 == 0 else 10))
        if data is None:
            return "nothing to send"
        stick = self.stick(heading, data)
        if by_stick:
            self._set_out(stick)
            return f"{stick.number} of {county.name}"
        landed = self.land(stick, action)
        if landed is None or action.get("fault") == "lose_reply":
            return "no answer"
        answer = self._answer(landed, None)
        told = county.hear(answer.data, self.centre_key(), None)
        if landed.bundle.header.epoch == landed.epoch:
            self._check_heard(county)
        return f"{len(landed.pushed)} pushed, {told} verdicts"

    def _check_heard(self, county: County) -> None:
        """After an answer a county takes for known at the centre only what is in its log."""
        enrolled = sorted(self.enrolled())
        logged = dots_in(log_vector(self.world.centre, enrolled))
        peer = {dot for dot in dots_in(county.book.peer) if dot[0] in enrolled}
        if beyond := sorted(peer - logged):
            raise Broken("unasked", f"{county.name} takes {beyond[:3]} for known at the centre")
        self.world.states["heard"] += 1

    def _heal(self, action: Action) -> str:
        """No more mishaps."""
        heal(self)
        return f"{len(self.written)} written"
