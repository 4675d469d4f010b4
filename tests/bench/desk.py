"""A dispatcher in the web view, who issues orders as a browser would."""

import re
from urllib.parse import urlencode

from server.accounts import new_login
from server.engine import Engine
from tests.bench.centre import LEAD
from tests.bench.harness import BenchFailed
from tests.bench.line import Answer, Line, request

PASSWORD = "bench-password"
NEW = "/desk/directives/new"


async def allow(engine: Engine) -> None:
    """Afterwards the shift leader of the centre can sign in."""
    await new_login(engine, LEAD.actor, PASSWORD, LEAD.actor)


class Dispatcher:
    """Signed in, with a connection that is opened anew when it was closed meanwhile."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}
        self._line: Line | None = None

    async def _ask(self, method: str, path: str, fields: object = None) -> Answer:
        if self._line is None or not self._line.is_open:
            self._line = await Line.to(self._port)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(fields, doseq=True).encode() if fields else b""  # type: ignore[arg-type]
        answer = await self._line.ask(request(method, path, headers, body))
        for name, value in re.findall(rb"(?i)set-cookie: ([^=]+)=([^;\r]*)", answer.head):
            self._cookies[name.decode()] = value.decode()
        return answer

    async def sign_in(self) -> None:
        """BenchFailed when the centre does not let the dispatcher in."""
        form = await self._ask("GET", "/desk/login")
        fields = {"csrf": _csrf(form), "login": LEAD.actor, "password": PASSWORD, "next": "/desk"}
        answer = await self._ask("POST", "/desk/login", fields)
        if answer.status != 303:
            raise BenchFailed(f"sign-in: {answer.status}")

    async def draft(self, incident: str, units: list[str]) -> bytes:
        """The request that issues an order to these units, from a form of its own."""
        form = await self._ask("GET", f"{NEW}?incident={incident}")
        id = re.search(rb'name="id" value="([^"]+)"', form.body)
        if id is None:
            raise BenchFailed(f"form: {form.status} {form.body[:300]!r}")
        fields = {
            "csrf": _csrf(form),
            "id": id[1].decode(),
            "incident": incident,
            "urgency": "urgent",
            "kind": "dispatch",
            "text": "示例指令：请立即赶赴现场处置，到场后报告情况。",
            "unit": units,
        }
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        return request("POST", NEW, headers, urlencode(fields, doseq=True).encode())

    def rest(self) -> None:
        """Close the connection, as the centre does after a silence; what comes next opens one."""
        if self._line:
            self._line.close()

    async def issue(self, drafted: bytes) -> None:
        """Send it. BenchFailed when the order was not issued."""
        if self._line is None or not self._line.is_open:
            self._line = await Line.to(self._port)
        answer = await self._line.ask(drafted)
        if answer.status != 303:
            raise BenchFailed(f"order: {answer.status} {answer.body[:300]!r}")


def _csrf(page: Answer) -> str:
    found = re.search(rb'name="csrf" value="([^"]+)"', page.body)
    if found is None:
        raise BenchFailed(f"no form: {page.status}")
    return found[1].decode()
