"""Which device is asking: the bearer token of `/v1`, in a header and never in an address."""

from starlette.requests import Request

from schema.codes import Code
from server.accounts import device_of
from server.device import Device
from server.errors import Fault

SCHEME = "Bearer "


async def device_from(request: Request) -> Device:
    """The device of the Authorization header. Fault `unauthenticated` without a valid one."""
    header = request.headers.get("authorization", "")
    if not header.startswith(SCHEME):
        raise Fault(Code.UNAUTHENTICATED)
    return await device_of(request.app.state.engine, header[len(SCHEME) :])


async def living_device(request: Request) -> Device:
    """The same, for what a revoked device may no longer do. Fault `revoked`."""
    device = await device_from(request)
    if device.revoked:
        raise Fault(Code.REVOKED)
    return device
