"""The one page on plain http: how a phone comes to trust this centre's root."""

import base64
import hashlib
import io
from pathlib import Path

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from schema.words import LANGUAGES, say
from server.tls import ROOT_NAME, Tls, fingerprint, mobileconfig, root_der

HERE = Path(__file__).parent
IOS_FILE, CRT_FILE = "/lingda.mobileconfig", "/lingda.crt"
PHONES = (("ios", IOS_FILE, 3), ("android", CRT_FILE, 4), ("computer", CRT_FILE, 2))
"""Kind, what it downloads, and how many steps its list has."""


class Trust(Struct, frozen=True):
    """What the page tells: whose root, the HTTPS address it is for, and the page's own address."""

    tls: Tls
    https: str
    here: str
    centre: str
    static: Path


class Page:
    """The page and its two downloads, ready to send."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        styles = (trust.static / "css" / name for name in ("tokens.css", "trust.css"))
        self.style = "".join(path.read_text(encoding="utf-8") for path in styles)
        self.script = (HERE / "trust_page.js").read_text(encoding="utf-8")
        pages = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
        pages.undefined = StrictUndefined
        self.template = pages.get_template("trust_page.html")
        self.policy = (
            f"default-src 'none'; style-src {_hash_of(self.style)};"
            f" script-src {_hash_of(self.script)}; connect-src {trust.https};"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    async def page(self, request: Request) -> Response:
        """GET /: the steps, with those of the asking phone unfolded."""
        language = _language(request)
        html = self.template.render(
            language=language,
            other_language=next(one for one in LANGUAGES if one != language),
            say=lambda key, **values: say(language, key, **values),
            centre=self.trust.centre,
            https=self.trust.https,
            here=self.trust.here,
            fingerprint=fingerprint(self.trust.tls).split(),
            root=ROOT_NAME,
            phones=PHONES,
            chosen=_kind(request.headers.get("user-agent", "")),
            qr=Markup(_qr(self.trust.here)),
            style=Markup(self.style),
            script=Markup(self.script),
        )
        headers = {"Content-Security-Policy": self.policy, "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(html, headers=headers | {"Cache-Control": "no-store"})

    async def certificate(self, request: Request) -> Response:
        """GET /lingda.crt: the root, for Android and computers."""
        headers = {"Content-Disposition": 'attachment; filename="lingda.crt"'}
        return Response(root_der(self.trust.tls), 200, headers, "application/x-x509-ca-cert")

    async def profile(self, request: Request) -> Response:
        """GET /lingda.mobileconfig: the root as a profile, for iOS."""
        language = _language(request)
        title = say(language, "trust.profile.title", centre=self.trust.centre)
        data = mobileconfig(self.trust.tls, title, say(language, "trust.profile.about"))
        return Response(data, 200, media_type="application/x-apple-aspen-config")


def build_trust_app(trust: Trust) -> Starlette:
    """The application of the trust port. It knows no engine: nothing else can leak through it."""
    page = Page(trust)
    return Starlette(
        routes=[
            Route("/", page.page),
            Route("/ca", page.page),
            Route(CRT_FILE, page.certificate),
            Route(IOS_FILE, page.profile),
        ],
        exception_handlers={HTTPException: _not_here},
    )


async def _not_here(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return PlainTextResponse(say(_language(request), "trust.not_here"), status)


def _language(request: Request) -> str:
    """What the address asks for, else Chinese unless the browser puts English first."""
    wanted = request.query_params.get("lang")
    if wanted in LANGUAGES:
        return str(wanted)
    first = request.headers.get("accept-language", "").strip().lower()
    return LANGUAGES[1] if first.startswith("en") else LANGUAGES[0]


def _kind(agent: str) -> str:
    """The list of steps to unfold; an iPad that poses as a Mac opens it with one tap."""
    if "iPhone" in agent or "iPad" in agent:
        return "ios"
    return "android" if "Android" in agent or "Harmony" in agent else "computer"


def _qr(text: str) -> str:
    out = io.BytesIO()
    segno.make(text, micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, border=3, omitsize=True
    )
    return out.getvalue().decode()


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
