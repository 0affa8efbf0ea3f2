"""Who a function runs as: what its image says in `User`, with names looked up in the image's own files.

`uid`, `uid:gid`, `name`, `name:group`; where the image names nobody, the user that AWS runs functions as.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

from esb_agent.drivers.emulator_function import USER
from esb_agent.errors import ImageBrokenError

PASSWD, GROUP = "etc/passwd", "etc/group"
MAX_BYTES = 1024 * 1024


@frozen
class User:
    """Numbers, as the kernel wants them."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def needs_files(text: str) -> bool:
    """A name or a lone number: the rest is to be read in the image."""
    name, _, group = (text or USER).partition(":")
    return not (name.isdecimal() and group.isdecimal())


def parse_user(text: str, passwd: str = "", group: str = "") -> User:
    """The user `text` says; `passwd` and `group` are the image's files.

    Raises ImageBrokenError: a name that is in neither.
    """
    name, _, group_name = (text or USER).partition(":")
    entry = _entry(passwd, name)
    if name.isdecimal():
        uid, gid = int(name), int(entry[3]) if entry else 0
    elif entry:
        uid, gid = int(entry[2]), int(entry[3])
    else:
        raise ImageBrokenError(f"the image's user {text!r} is not in its /etc/passwd")
    if group_name:
        return User(uid, _group(text, group_name, group))
    return User(uid, gid, tuple(_groups_of(entry[0], group, gid)) if entry else ())


def _entry(passwd: str, name: str) -> list[str] | None:
    """By name or, when that is a number, by uid."""
    for fields in _lines(passwd, 4):
        if fields[0] == name or (name.isdecimal() and fields[2] == name):
            return fields
    return None


def _group(text: str, name: str, group: str) -> int:
    if name.isdecimal():
        return int(name)
    for fields in _lines(group, 3):
        if fields[0] == name:
            return int(fields[2])
    raise ImageBrokenError(f"the group of the image's user {text!r} is not in its /etc/group")


def _groups_of(user: str, group: str, own: int) -> Iterator[int]:
    """The groups that list the user as a member."""
    for fields in _lines(group, 4):
        if user in fields[3].split(",") and int(fields[2]) != own:
            yield int(fields[2])


def _lines(text: str, least: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) >= least and fields[2].isdecimal():
            if least == 4 and len(fields) > 4 and not fields[3].isdecimal():
                continue
            yield fields


def read_in_layers(layers: Iterable[Path], inside: str) -> str:
    """The file's text from the topmost layer that has it; "" when none has.

    No link is followed: an image could point it at a file of the host.
    """
    for layer in layers:
        if (text := _read_below(layer, inside)) is not None:
            return text
    return ""


def _read_below(layer: Path, inside: str) -> str | None:
    *folders, name = inside.split("/")
    opened: list[int] = []
    try:
        opened.append(os.open(layer, os.O_RDONLY | os.O_DIRECTORY))
        for folder in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            opened.append(os.open(folder, flags, dir_fd=opened[-1]))
        opened.append(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened[-1]))
        return os.read(opened[-1], MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        for one in opened:
            os.close(one)
