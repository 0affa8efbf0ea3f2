"""Which versions of the runtime hooks and the template renderer this tool works with (contract §7)."""

from __future__ import annotations

import re
from enum import Enum

RUNTIME_HOOKS_API = "1.0"
TEMPLATE_RENDERER_API = "1.0"
TEMPLATE_RENDERER_NAME = "esb"
SCHEMA_VERSION = "1"

_VERSION = re.compile(r"(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?")


class Verdict(Enum):
    """How a version relates to the supported one."""

    SUPPORTED = "supported"
    OTHER_MINOR = "another minor version"
    OTHER_MAJOR = "another major version"
    MALFORMED = "not a version"


def check_api_version(text: str, supported: str = "1.0") -> Verdict:
    """How `text` (`major.minor`, or `major` for minor 0) relates to `supported`."""
    match = _VERSION.fullmatch(text)
    wanted = _VERSION.fullmatch(supported)
    if not match or not wanted:
        return Verdict.MALFORMED
    # compared as text: without leading zeros equal numbers are equal texts, however long
    if match[1] != wanted[1]:
        return Verdict.OTHER_MAJOR
    return Verdict.SUPPORTED if (match[2] or "0") == (wanted[2] or "0") else Verdict.OTHER_MINOR
