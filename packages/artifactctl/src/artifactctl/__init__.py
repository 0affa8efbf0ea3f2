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
    )
    from artifactctl.entry_ids import ValidateIdRequest, ValidateIdResult, validate_id
    from artifactctl.errors import RequestError, WorldError
    from artifactctl.images.api import (
        ImageResult,
        ImageStatus,
        LayoutTarget,
        PrepareImagesRequest,
        PrepareImagesResult,
    )
    from artifactctl.images.prepare import prepare_images
    from artifactctl.lock import LockWait
    from artifactctl.report import applied_text
    from artifactctl.report_json import applied_json
    from artifactctl.timeline import history, rollback, status
    from artifactctl.transaction import apply, merge, plan

__all__ = [
    "ApplyRequest",
    "ApplyResult",
    "HistoryRequest",
    "HistoryResult",
    "ImageResult",
    "ImageStatus",
    "LayoutTarget",
    "LockWait",
    "MergeRequest",
    "PlanRequest",
    "PlanResult",
    "PrepareImagesRequest",
    "PrepareImagesResult",
    "RequestError",
    "RollbackRequest",
    "RollbackResult",
    "StatusRequest",
    "StatusResult",
    "ValidateIdRequest",
    "ValidateIdResult",
    "WorldError",
    "__version__",
    "applied_json",
    "applied_text",
    "apply",
    "history",
    "merge",
    "plan",
    "prepare_images",
    "rollback",
    "status",
    "validate_id",
]

_MODULES = {
    "ValidateIdRequest": "entry_ids",
    "ValidateIdResult": "entry_ids",
    "ImageResult": "images.api",
    "ImageStatus": "images.api",
    "LayoutTarget": "images.api",
    "LockWait": "lock",
    "PrepareImagesRequest": "images.api",
    "PrepareImagesResult": "images.api",
    "RequestError": "errors",
    "WorldError": "errors",
    "applied_json": "report_json",
    "applied_text": "report",
    "apply": "transaction",
    "history": "timeline",
    "merge": "transaction",
    "plan": "transaction",
    "prepare_images": "images.prepare",
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
