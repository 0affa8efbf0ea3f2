"""Who is at the other end of a loopback connection.

A worker's Runtime API is a TCP port, because that is all the runtime client can be told of, and it cannot
carry a token. So other users of this machine are kept out by asking the kernel whose socket it is.
"""

import asyncio
import os
from pathlib import Path

TABLE = Path("/proc/net/tcp")
REFUSED = -1


def same_user(transport: asyncio.Transport) -> bool:
    """The connection comes from a process of this agent's user.

    Where the kernel has no table to look in, every one does.
    """
    try:
        table = TABLE.read_text(encoding="ascii")
    except OSError:
        return True
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return bool(peer and own) and owner_of(table, peer, own) == os.getuid()


def owner_of(table: str, local: tuple[str, int], remote: tuple[str, int]) -> int:
    """User id of the socket with these ends, from the text of /proc/net/tcp; -1 when it is not there."""
    ends = f" {_hexadecimal(local)} {_hexadecimal(remote)} "
    at = table.find(ends)
    if at < 0:
        return REFUSED
    fields = table[at:].split(maxsplit=6)
    return int(fields[6].split()[0]) if len(fields) > 6 else REFUSED


def _hexadecimal(end: tuple[str, int]) -> str:
    """As the table writes it.

    The address's bytes in the machine's order, which on all machines this runs on is reversed.
    """
    address = "".join(f"{int(part):02X}" for part in reversed(end[0].split(".")))
    return f"{address}:{end[1]:04X}"
