"""How a check says that a promise was broken."""


class Broken(Exception):
    """A promise that does not hold, by its name, and what was seen."""

    def __init__(self, promise: str, what: str) -> None:
        super().__init__(promise, what)
        self.promise = promise
        self.what = what

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"
