"""Which version this is; a constant, because reading it from the installed metadata takes a while."""

from __future__ import annotations

__version__ = "0.1.0"
TOOL = f"artifactctl {__version__}"
