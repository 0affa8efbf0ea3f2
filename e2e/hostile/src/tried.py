"""How attempts end: "done", or the name of the error."""

import errno
import os


def tried(attempt, *words):
    try:
        attempt(*words)
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)
    return "done"


def write(path, text="x"):
    """Write into a file as it is, or into a new one."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)
