"""Faults: requests that cannot be served, with a stable code and two sentences."""

from schema.codes import HTTP_STATUS, Code
from schema.wire import Problem
from schema.words import say


class Fault(Exception):
    """A request that cannot be served. Nothing has changed when it is raised."""

    def __init__(self, code: Code, detail: str | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    @property
    def status(self) -> int:
        return HTTP_STATUS.get(self.code, 400)


def problem(code: Code, detail: str | None = None) -> Problem:
    """The code with its Chinese and its English sentence."""
    key = f"error.{code}"
    return Problem(code, say("zh-CN", key), say("en", key), detail)
