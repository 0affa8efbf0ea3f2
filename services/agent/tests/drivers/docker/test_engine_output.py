"""How a container's output is taken from an engine; the engine is a stand-in with this one container."""

import asyncio
import struct

from aiohttp import web
from esb_agent.drivers.docker.engine import Engine


def frame(text: bytes) -> bytes:
    return struct.pack(">BxxxL", 1, len(text)) + text


async def test_what_comes_while_output_gathers_is_taken_in_one_go(tmp_path):
    more = asyncio.Event()

    async def version(_):
        return web.json_response({"Version": "28.0", "ApiVersion": "1.48", "MinAPIVersion": "1.24"})

    async def info(_):
        return web.json_response({"NCPU": 2})

    async def logs(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(frame(b"1 one\n"))
        await more.wait()
        for text in (b"2 two\n", b"3 three\n", b"4 four\n"):
            await response.write(frame(text))
            await asyncio.sleep(0.02)  # one by one, as a function prints
        return response

    app = web.Application()
    app.router.add_get("/version", version)
    app.router.add_get("/v1.48/info", info)
    app.router.add_get("/v1.48/containers/c/logs", logs)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "engine")).start()
    engine = Engine(f"unix://{tmp_path}/engine")
    try:
        await engine.connect()
        taken = []
        async with asyncio.timeout(30):
            async for pieces in engine.output("c", follow=True, gather=0.5):
                taken.append([text for _, text in pieces])
                more.set()
        assert taken == [[b"1 one\n"], [b"2 two\n", b"3 three\n", b"4 four\n"]]
    finally:
        await engine.close()
        await runner.cleanup()
