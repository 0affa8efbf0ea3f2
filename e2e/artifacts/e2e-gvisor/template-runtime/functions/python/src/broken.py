"""Cannot be imported."""

import nothing_of_that_name  # noqa: F401


def handler(event, context):
    return None
