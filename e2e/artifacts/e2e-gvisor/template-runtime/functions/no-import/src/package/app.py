"""Looks around."""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path

STARTED = {"modules": [name for name in ("boto3", "sitecustomize", "trace_bridge") if name in sys.modules]}
logging.getLogger().setLevel(logging.INFO)


class RefusedError(Exception):
    """One of the function's own."""


def handler(event, context):
    return globals()[event["do"]](event, context)


def environment(event, context):
    return {name: os.environ.get(name) for name in event["names"]}


def layers(event, context):
    import greeting  # noqa: PLC0415  # only one of the functions has the layer

    return {
        "greeting": greeting.hello("e2e"),
        "file": (Path(greeting.__file__).parents[1] / "data/table.json").read_text(),
        "at": greeting.__file__,
    }


def around(event, context):
    return {
        "cwd": str(Path.cwd()),
        "python": list(sys.version_info[:2]),
        "handler": os.environ.get("_HANDLER"),
        "at_start": STARTED["modules"],
        "function": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "remaining": context.get_remaining_time_in_millis(),
        "client_context": getattr(context.client_context, "custom", None),
    }


def scratch(event, context):
    """Writes to /tmp and says what was there before."""
    place = Path(tempfile.gettempdir()) / "e2e"
    before = place.read_text() if place.exists() else None
    place.write_text(event["text"])
    return {"place": str(place), "before": before, "after": place.read_text()}


def elsewhere(event, context):
    """Writes where a function may not."""
    try:
        Path(event["path"]).write_text("x")
    except OSError as error:
        return {"error": type(error).__name__, "errno": error.errno}
    return {"error": None}


def fail(event, context):
    raise RefusedError(event["message"])


def leave(event, context):
    sys.exit(3)


def unserialisable(event, context):
    return {"set": {1, 2}}


def large(event, context):
    return "x" * event["bytes"]


def log(event, context):
    print(f"printed {event['mark']}")
    print(f"complained {event['mark']}", file=sys.stderr)
    logging.getLogger("e2e").warning("logged %s", event["mark"])
    logging.getLogger("e2e").debug("hidden %s", event["mark"])
    return json.dumps(event["mark"])
