"""The application: every route of one engine, its guards, and how faults are told."""

import time
from collections.abc import Sequence

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schema.versions import MINUTE_MS
from server.blobs import Blobs, drop_stale
from server.engine import Engine
from server.errors import Fault
from server.guests import Guests
from server.routes import blob, enrol, live, pwa, sync
from server.routes.problems import on_bug, on_fault, on_http_exception
from server.together import Together
from server.web.routes import routes as web_routes

log = structlog.get_logger()

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
        " worker-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none';"
        " form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(self), camera=(self), microphone=()",
}
SECURITY_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
GZIP_BYTES_MIN = 600
SWEEP_MS = 24 * 60 * MINUTE_MS
GONE = 0
"""The status in the log of a request that got no answer."""


class UploadSweep:
    """Drops uploads that nobody goes on with: when the first one begins after a start, then daily.

    Space is only wanted where uploads begin, so a centre that gets none need not wake for it.
    """

    def __init__(self, engine: Engine, blobs: Blobs) -> None:
        self._engine = engine
        self._blobs = blobs
        self._swept_ms: int | None = None

    async def now_and_then(self) -> None:
        now = self._engine.clock()
        if self._swept_ms is None or abs(now - self._swept_ms) >= SWEEP_MS:
            self._swept_ms = now
            await drop_stale(self._engine.store, self._blobs, now)


class Guard:
    """Security headers on every answer, also on the last resort's, and one log line for each.

    What goes wrong inside ends here: it is answered, or, once an answer has begun, left unfinished,
    so that the server cuts the connection and nobody takes the part for the whole.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the log names its path and status, never who or what."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), GONE

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message.get("headers", ())}
                rest = [one for one in SECURITY_HEADERS if one[0] not in given]
                message = {**message, "headers": [*message.get("headers", ()), *rest]}
            await send(message)

        try:
            await self.app(scope, receive, guarded)
        except ClientDisconnect:
            pass  # Nobody is there to be answered.
        except Exception as error:
            answer = on_bug(Request(scope), error)
            if status == GONE:
                await answer(scope, receive, guarded)
        took_ms = round((time.monotonic() - began) * 1000)
        log.info("request", method=scope["method"], path=scope["path"], status=status, ms=took_ms)


async def home(request: Request) -> RedirectResponse:
    """GET /: the web view; devices know their own address."""
    return RedirectResponse("/desk")


def build_app(engine: Engine) -> Starlette:
    """The application that serves this engine. It opens and closes nothing itself."""
    routes: Sequence[BaseRoute] = [
        Route("/", home),
        *sync.routes,
        *enrol.routes,
        *live.routes,
        *blob.routes,
        *pwa.routes(engine.config.static / "app"),
        *web_routes,
        Mount("/static", StaticFiles(directory=engine.config.static)),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Guard),
            Middleware(GZipMiddleware, minimum_size=GZIP_BYTES_MIN),
        ],
        exception_handlers={
            Fault: on_fault,
            HTTPException: on_http_exception,
        },
    )
    app.state.engine = engine
    app.state.blobs = Blobs(engine.config.blobs)
    app.state.blob_records = Together(engine.store)
    app.state.guests = Guests(engine)
    app.state.upload_sweep = UploadSweep(engine, app.state.blobs)
    return app
