"""Taking more than one's share: processes, memory, disk, log."""

import errno
import mmap
import os
import signal
import sys
import threading
import time
from pathlib import Path

MIB = 2**20


def fork_bomb(seconds):
    """Each process makes another one as often as it can, until one is refused."""
    first, deadline, over = os.getpid(), time.monotonic() + seconds, Path("/tmp/over")
    over.unlink(missing_ok=True)
    refused = ""
    while time.monotonic() < deadline and not over.exists():
        try:
            os.fork()
        except OSError as error:
            refused = errno.errorcode[error.errno]
            over.write_text(refused)
    if os.getpid() != first:
        os._exit(0)
    return {"refused": over.read_text() if over.exists() else ""}


def threads():
    """As many threads as there can be."""
    stop, made, refused = threading.Event(), [], ""
    threading.stack_size(64 * 1024)
    while len(made) < 5000:
        try:
            made.append(threading.Thread(target=stop.wait))
            made[-1].start()
        except RuntimeError as error:
            made.pop()
            refused = str(error)
            break
    stop.set()
    for thread in made:
        thread.join()
    return {"refused": refused, "made": len(made)}


def endless_fork_bomb():
    """Goes on when its call's time is over; deaf to every signal that can be ignored."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.02)


def memory_hog():
    """Memory that is written to, until there is none."""
    taken = []
    while True:
        block = mmap.mmap(-1, 16 * MIB)
        for place in range(0, len(block), mmap.PAGESIZE):
            block[place] = 1
        taken.append(block)


def fill(directory, most_mb):
    """A file that grows; how large it got, and why it ended. The next call finds it."""
    block, size, ended = bytes(MIB), 0, "done"
    with Path(directory, "filler").open("wb", buffering=0) as file:
        while size < most_mb * MIB:
            try:
                size += file.write(block)
            except OSError as error:
                ended = errno.errorcode[error.errno]
                break
    return {"mb": size // MIB, "ended": ended}


def clear(directory):
    Path(directory, "filler").unlink()


def flood(mb, line_kb):
    """So much on stdout, in lines of a length; 0: in one line without an end."""
    text = "x" * (line_kb * 1024 - 1) + "\n" if line_kb else "x" * 65536
    for _ in range(mb * MIB // len(text)):
        sys.stdout.write(text)
    sys.stdout.flush()


def kill_all():
    """Whatever can be killed from in here, the emulator first."""
    for number in (signal.SIGKILL, signal.SIGTERM):
        os.kill(1, number)
    time.sleep(10)
