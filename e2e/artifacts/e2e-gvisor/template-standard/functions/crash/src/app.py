"""Fails in the way it is asked to."""

import json
import os
import signal


def handler(event, context):
    asked = json.loads(event["body"]) if "body" in event else event
    match asked.get("how"):
        case "raise":
            raise ValueError("as it was asked to")
        case "exit":
            os._exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "garbage":
            return {"statusCode": "many"}
    return {"statusCode": 200, "body": json.dumps({"pid": os.getpid()})}
