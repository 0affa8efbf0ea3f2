"""Holds its worker for a while; says which worker that was."""

import time
import uuid

WORKER = str(uuid.uuid4())


def handler(event, context):
    time.sleep(event.get("seconds", 0))
    return {"worker": WORKER}
