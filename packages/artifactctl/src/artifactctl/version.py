"""Which version this is; a constant, because asking the installed metadata costs as much as reading a manifest."""

from __future__ import annotations

__version__ = "0.1.0"
TOOL = f"artifactctl {__version__}"
