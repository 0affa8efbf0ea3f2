"""Whose socket it is at the other end."""

import asyncio
import os

from esb_agent.drivers.process.loopback import owner_of, same_user

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000"
TABLE = HEAD + (
    f"   0: 00000000:07E8 00000000:0000 0A {REST}     0        0 1447 1 0 100 0 0 10 0\n"
    f"   1: 0100007F:AFB4 0100007F:1F90 01 {REST}  1000        0 99 1 0 20 4 30 10 -1\n"
    f"   2: 0100007F:1F90 0100007F:AFB4 01 {REST}     0        0 98 1 0 20 4 30 10 -1\n"
)


def test_the_peers_line_is_found_not_our_own():
    assert owner_of(TABLE, ("127.0.0.1", 0xAFB4), ("127.0.0.1", 0x1F90)) == 1000
    assert owner_of(TABLE, ("127.0.0.1", 0x1F90), ("127.0.0.1", 0xAFB4)) == 0


def test_a_connection_the_kernel_does_not_know_is_nobodys():
    assert owner_of(TABLE, ("127.0.0.1", 1), ("127.0.0.1", 2)) == -1
    assert owner_of("", ("127.0.0.1", 1), ("127.0.0.1", 2)) == -1


async def test_our_own_connection_is_our_own(monkeypatch):
    seen = asyncio.get_running_loop().create_future()

    async def serve(reader, writer):
        first = same_user(writer.transport)
        uid = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: uid + 1)
        seen.set_result((first, same_user(writer.transport)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await seen == (True, False)
    writer.close()
    server.close()
