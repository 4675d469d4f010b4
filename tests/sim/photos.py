"""Photos on their way: each device's album, and the centre's real routes for them."""

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request

from server.app import UploadSweep
from server.blobs import Blobs
from server.errors import Fault
from server.routes import blob as routes
from server.together import Together
from tests.sim.broken import Broken
from tests.sim.centre import Crashed, Trouble
from tests.sim.disk import CENTRE, FULL
from tests.sim.handset import Handset
from tests.sim.model import scopes_of

if TYPE_CHECKING:
    from tests.sim.world import Action, World

CHUNK_BYTES = 400
BYTES_MIN, BYTES_MAX = 100, 1_500
SHARED = b"the same picture, sent on from one phone to the next " * 9
MEMORY = Path("/dev/shm")
"""A folder that no disk stands behind, where the machine has one."""

AGAIN = {409, 460}
"""Not at this offset, or not these bytes: ask where it stands."""


class Photo(Struct):
    """One photo on one device: how far it has got, as the centre has told."""

    sha256: str
    data: bytes
    url: str = ""
    offset: int | None = None
    """Where the next chunk begins; None when that must be asked."""
    reached: int = 0
    """The furthest that the centre has confirmed."""
    told: bool = False
    """The centre has said that it has the whole of it."""

    def lost(self) -> None:
        """The centre may know nothing of it any more."""
        self.url, self.offset, self.reached, self.told = "", None, 0, False


class Ask(Struct, frozen=True):
    """A request about a photo."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class Photos:
    """Every device's photos, and the folder in which the centre keeps them."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.albums: dict[str, list[Photo]] = {}
        self._folder: TemporaryDirectory[str] | None = None
        self._app: Any = None
        self._whole: set[str] = set()

    def close(self) -> None:
        if self._folder:
            self._folder.cleanup()

    # --- On devices ---------------------------------------------------------------------------

    def take(self, handset: Handset, random: Random) -> dict[str, Any]:
        """A picture is taken, and lies in the album. What a row says of it."""
        data = random.randbytes(random.randrange(BYTES_MIN, BYTES_MAX))
        if random.random() < 0.2:
            data = SHARED
        sha256 = hashlib.sha256(data).hexdigest()
        album = self.albums.setdefault(handset.life, [])
        if all(one.sha256 != sha256 for one in album):
            album.append(Photo(sha256, data))
        return {"sha256": sha256, "size": len(data), "type": "image/jpeg"}

    def _every(self) -> Iterator[Photo]:
        return (one for album in self.albums.values() for one in album)

    def waiting(self, handset: Handset) -> list[Photo]:
        """What the centre has not confirmed; a device that was revoked sends no more."""
        if handset.gone or handset.revoked:
            return []
        return [one for one in self.albums.get(handset.life, ()) if not one.told]

    def step(self, action: "Action", handset: Handset | None) -> str:
        """A device does the next thing for one of its photos, or looks at somebody's."""
        if handset is None:
            return "nobody"
        waiting = self.waiting(handset)
        if not waiting:
            return self._look(action, handset)
        photo = waiting[action["r"] % len(waiting)]
        fault = action.get("fault", "")
        ask = _next(photo, handset)
        if fault == "cut_request":
            self.world.states["photo_harmed"] += bool(ask.body)
            ask = _harmed(ask, action)
        asks = [ask] * (2 if fault == "duplicate_request" else 1)
        if fault == "drop_request":
            photo.offset = None
            return "dropped"
        answers = self._serve(asks, action)
        self.world.states["photo_twice"] += len(asks) - 1
        status, headers = answers[0]
        if fault in ("lose_reply", "half_open") or status == 0:
            self.world.states["photo_unheard"] += 1
            photo.offset = None
            return "unheard"
        self._heard(photo, status, headers)
        return f"{asks[0].method} {status}"

    def _heard(self, photo: Photo, status: int, headers: Any) -> None:
        if status in (200, 201, 204):
            photo.url = headers.get("location", photo.url)
            self._stands(photo, int(headers["upload-offset"]))
        elif status == 404:
            photo.lost()
        elif status in AGAIN:
            photo.offset = None
            self.world.states["photo_again"] += 1
        elif status != 507:
            raise Broken("server_error", f"status {status} for a photo")

    def _stands(self, photo: Photo, offset: int) -> None:
        """What was confirmed once is never asked for again, and the whole is there when told so."""
        if offset < photo.reached:
            raise Broken("photo_resent", f"{photo.sha256} at {offset} after {photo.reached}")
        photo.offset = photo.reached = offset
        if offset == len(photo.data):
            photo.told = True
            self.world.states["photo_told"] += 1
            self._check_whole(photo)

    # --- At the centre ------------------------------------------------------------------------

    @cached_property
    def _blobs(self) -> Blobs:
        self._folder = TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        return Blobs(Path(self._folder.name))

    def _serve(self, asks: list[Ask], action: "Action") -> list[tuple[int, Any]]:
        """The answers to requests that come at the same time; status 0 where none came."""
        trouble = self.world.trouble(action)
        answers = self.world.centre.run(self._deliver(asks, trouble))
        self.world.after(trouble)
        self._check_records()
        return answers

    async def _deliver(self, asks: list[Ask], trouble: Trouble) -> list[tuple[int, Any]]:
        centre = self.world.centre
        try:
            engine = await centre.open()
        except FULL:
            return [(507, {})] * len(asks)
        if self._app is None or self._app.state.engine is not engine:
            state = SimpleNamespace(engine=engine, blobs=self._blobs)
            state.upload_sweep = UploadSweep(engine, state.blobs)
            state.blob_records = Together(engine.store)
            self._app = SimpleNamespace(state=state)
        assert centre.store is not None
        centre.store.trouble = trouble
        try:
            return list(await asyncio.gather(*map(self._answer, asks)))
        finally:
            centre.store.trouble = Trouble()

    async def _answer(self, ask: Ask) -> tuple[int, Any]:
        name = ask.path.rsplit("/", 1)[-1]
        endpoint = {
            "POST": routes.create,
            "HEAD": routes.stand,
            "PATCH": routes.append,
            "GET": routes.fetch,
        }[ask.method]
        scope = {
            "type": "http",
            "method": ask.method,
            "path": ask.path,
            "query_string": b"",
            "headers": [(k.lower().encode(), v.encode()) for k, v in ask.headers.items()],
            "path_params": {"id": name, "sha256": name},
            "app": self._app,
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": ask.body, "more_body": False}

        try:
            response = await endpoint(Request(scope, receive))
        except Fault as fault:
            return fault.status, {}
        except Crashed:
            return 0, {}
        except FULL:
            return 507, {}
        return response.status_code, response.headers

    def restored(self) -> None:
        """The machine is lost: what a backup names of photos is there, and nothing else."""
        for photo in self._every():
            photo.lost()
        if self._folder is None:
            return
        self._whole.clear()
        named = set(self._records())
        for path in Path(self._folder.name).rglob("*"):
            if path.is_file() and path.name not in named:
                path.unlink()

    # --- What must hold -----------------------------------------------------------------------

    def _records(self) -> dict[str, list[str]]:
        """The photos that the centre says it has, with the devices that brought them."""
        lines = self.world.centre.disk.select(
            "SELECT key, doc FROM side WHERE centre=? AND kind='blob' ORDER BY key", CENTRE
        )
        return {key: msgspec.json.decode(doc)["uploaders"] for key, doc in lines}

    def _check_records(self) -> None:
        """No record names a photo whose bytes are not there.

        Those that were seen whole are not read again.
        """
        for sha256 in set(self._records()) - self._whole:
            path = self._blobs.path(sha256)
            if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                raise Broken("photo_missing", sha256)
            self._whole.add(sha256)

    def _check_whole(self, photo: Photo) -> None:
        path = self._blobs.path(photo.sha256)
        if photo.sha256 not in self._records() or path.read_bytes() != photo.data:
            raise Broken("photo_lost", f"{photo.sha256} was confirmed")

    def check_all(self) -> None:
        """Whatever was confirmed is there, and whatever a record names."""
        self._whole.clear()
        self._check_records()
        for photo in (one for one in self._every() if one.told):
            self._check_whole(photo)

    def _look(self, action: "Action", handset: Handset) -> str:
        """Who knows the hash of a photo gets it if a row shows it to them, and not otherwise."""
        known = sorted({one.sha256 for one in self._every()})
        if not known or handset.revoked:
            return "nothing"
        sha256 = known[action["r"] % len(known)]
        path = f"/v1/blob/{sha256}"
        [(status, _)] = self._serve([Ask("GET", path, _signed_in(handset))], {"do": "photo"})
        wanted = self._is_shown(sha256, handset)
        if status == 200 and not wanted:
            raise Broken("photo_leak", sha256)
        if status != 200 and wanted:
            raise Broken("photo_hidden", f"{sha256} {status}")
        self.world.states["photo_shown" if wanted else "photo_hidden"] += 1
        return str(status)

    def _is_shown(self, sha256: str, handset: Handset) -> bool:
        brought = self._records().get(sha256, [])
        if handset.life in brought:
            return True
        scopes = self.world.centre.scopes(handset.life)
        return any(
            sha256 in _named(doc)
            and doc["dot"].split("/")[0] in brought
            and scopes.intersection(scopes_of(entity, doc["fields"], doc["actor"]))
            for (entity, _), doc in self.world.model.docs.items()
        )


def _named(doc: dict[str, Any]) -> set[str]:
    """The photos that a row names, itself or in the words that it shows."""
    said = [doc["fields"], *(one.get("fields") or {} for one in doc["fields"].get("changes") or ())]
    return {photo["sha256"] for fields in said for photo in fields.get("photos") or ()}


def _signed_in(handset: Handset) -> dict[str, str]:
    return {"Authorization": f"Bearer {handset.token}", "Tus-Resumable": "1.0.0"}


def _next(photo: Photo, handset: Handset) -> Ask:
    """What a device asks next for a photo."""
    who = _signed_in(handset)
    if not photo.url:
        about = {"sha256": photo.sha256, "type": "image/jpeg"}
        told = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in about.items())
        size = str(len(photo.data))
        return Ask("POST", "/v1/blob", who | {"Upload-Length": size, "Upload-Metadata": told})
    if photo.offset is None:
        return Ask("HEAD", photo.url, who)
    chunk = photo.data[photo.offset : photo.offset + CHUNK_BYTES]
    headers = {
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(photo.offset),
        "Upload-Checksum": f"sha256 {base64.b64encode(hashlib.sha256(chunk).digest()).decode()}",
    }
    return Ask("PATCH", photo.url, who | headers, chunk)


def _harmed(ask: Ask, action: "Action") -> Ask:
    """The same, of which only the beginning arrives, or one bit as another."""
    if not ask.body:
        return ask
    spot = action["r"] % len(ask.body)
    flipped = bytes([ask.body[spot] ^ 1])
    rest = flipped + ask.body[spot + 1 :] if action["r"] & 1024 else b""
    return replace(ask, body=ask.body[:spot] + rest)
