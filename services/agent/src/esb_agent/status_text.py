"""gRPC sends a status text as a header: one over a few KB breaks the call instead of explaining it."""

import json

MAX_TEXT = 4096
CUT = " ..."


def shorten(text: str) -> str:
    """At most `MAX_TEXT` bytes of ASCII; an error JSON stays one, and loses its stack trace first.

    {"errorType": "E", "errorMessage": "m", "stackTrace": [10 KB]} -> {"errorType": "E", "errorMessage": "m"}
    """
    if _fits(text):
        return text
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return text.encode("ascii", "backslashreplace").decode()[: MAX_TEXT - len(CUT)] + CUT
    short = {key: str(document[key]) for key in ("errorType", "errorMessage") if key in document}
    whole = json.dumps(short)
    if _fits(whole):
        return whole
    # A character takes at most 12 bytes of JSON, twice over in the two texts, with room for the keys.
    return json.dumps({key: value[: MAX_TEXT // 32] + CUT for key, value in short.items()})


def _fits(text: str) -> bool:
    return text.isascii() and len(text) <= MAX_TEXT
