"""A well-behaved function, and one that does what its event says: `attack`, with the other keys as words."""

import files
import network
import resources
import system


def neighbour(event, context):
    return {"number": event["number"], "twice": 2 * event["number"]}


def hostile(event, context):
    words = dict(event)
    name = words.pop("attack")
    for module in (resources, files, network, system):
        if attack := getattr(module, name, None):
            return attack(**words)
    raise LookupError(name)
