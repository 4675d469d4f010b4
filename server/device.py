"""Who is asking: an enrolled device, or a person in the web view."""

from msgspec import Struct

from schema.roles import Role


class Device(Struct, frozen=True):
    """An enrolled device, as its token proves it. `key` is its public key in base64url.

    Until `returning_until` it sends again what a lost log knew; 0 when it does not.
    """

    replica: str
    actor: str
    unit: str
    kind: str
    roles: frozenset[Role]
    session: str
    key: str
    scopes: tuple[str, ...]
    revoked: bool = False
    returning_until: int = 0

    @property
    def granted(self) -> tuple[str, ...]:
        """What it may be told of: nothing once it is revoked, or its holder has no role."""
        return self.scopes if self.roles and not self.revoked else ()


class WebUser(Struct, frozen=True):
    """A signed-in person in the web view. `session` is public; the cookie is kept nowhere."""

    actor: str
    name: str
    unit: str | None
    roles: frozenset[Role]
    session: str
    csrf: str
