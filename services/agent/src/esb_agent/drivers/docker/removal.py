"""The end of a container: killed, removed, and seen to be gone."""

import asyncio
import time

from esb_agent.drivers.docker.engine import Engine, EngineError
from esb_agent.errors import DriverError

GONE_SECONDS = 10.0
LOOK_SECONDS = 0.02


async def erase(engine: Engine, name: str) -> None:
    """Remove the container, and wait until it is gone; it may be gone, or be going, already.

    Raises:
        DriverError: it is still there.
    """
    try:
        await engine.remove(name)
    except EngineError as error:
        if error.status == 404:
            return
        if error.status != 409:
            raise
    else:
        return
    deadline = time.monotonic() + GONE_SECONDS
    while time.monotonic() < deadline:
        try:
            await engine.inspect(name)
        except EngineError as error:
            if error.status == 404:
                return
            raise
        await asyncio.sleep(LOOK_SECONDS)
    raise DriverError(f"container {name[:12]} is still there after {GONE_SECONDS:g} s")
