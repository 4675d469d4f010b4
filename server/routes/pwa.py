"""`/app/`: the built PWA. Hashed assets are kept for a year, everything else is asked for anew."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from schema.words import say

YEAR = "public, max-age=31536000, immutable"
ANEW = "no-cache"


class AppFiles(StaticFiles):
    """Static files with the cache rule of each: only a name with a hash in it may be kept."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, `index.html` for the folder itself."""
        response = await super().get_response("index.html" if path == "." else path, scope)
        response.headers["Cache-Control"] = YEAR if path.startswith("assets/") else ANEW
        return response


def routes(folder: Path) -> list[BaseRoute]:
    """The PWA's routes; without a build, a page that says how to make one."""

    async def unbuilt(request: Request) -> Response:
        return Response(say("zh-CN", "app.unbuilt"), 503, media_type="text/plain; charset=utf-8")

    async def index(request: Request) -> Response:
        return RedirectResponse("/app/")

    if not (folder / "index.html").exists():
        return [Route("/app/{path:path}", unbuilt), Route("/app", unbuilt)]
    return [Route("/app", index), Mount("/app", AppFiles(directory=folder))]
