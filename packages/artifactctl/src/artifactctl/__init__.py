"""Standalone applier of deploy artifacts: a function for each command, and what it takes and gives.

Names are imported when they are used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from artifactctl.version import __version__

if TYPE_CHECKING:
    from artifactctl.api import (
        ApplyRequest,
        ApplyResult,
        HistoryRequest,
        HistoryResult,
        MergeRequest,
        PlanRequest,
        PlanResult,
        RollbackRequest,
        RollbackResult,
        StatusRequest,
        StatusResult,
        ValidateIdRequest,
        ValidateIdResult,
    )
    from artifactctl.entry_ids import validate_id
    from artifactctl.errors import RequestError, WorldError
    from artifactctl.lock import LockWait
    from artifactctl.timeline import history, rollback, status
    from artifactctl.transaction import apply, merge, plan

__all__ = [
    "ApplyRequest",
    "ApplyResult",
    "HistoryRequest",
    "HistoryResult",
    "LockWait",
    "MergeRequest",
    "PlanRequest",
    "PlanResult",
    "RequestError",
    "RollbackRequest",
    "RollbackResult",
    "StatusRequest",
    "StatusResult",
    "ValidateIdRequest",
    "ValidateIdResult",
    "WorldError",
    "__version__",
    "apply",
    "history",
    "merge",
    "plan",
    "rollback",
    "status",
    "validate_id",
]

_MODULES = {
    "LockWait": "lock",
    "RequestError": "errors",
    "WorldError": "errors",
    "apply": "transaction",
    "history": "timeline",
    "merge": "transaction",
    "plan": "transaction",
    "rollback": "timeline",
    "status": "timeline",
    "validate_id": "entry_ids",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"artifactctl.{_MODULES.get(name, 'api')}"), name)
    globals()[name] = value
    return value
