"""What a function's workers are shut in: `Metadata: {esb: {Sandbox: gvisor}}`, a word of this product's own.

SAM hands metadata on unread, so a template that has it deploys to AWS as before. As in `functions.yml`, a
misspelt or unfinished line is an error: it would shut a function in less than was meant.
"""

from artifact_contract.config_sandbox import SANDBOXES, is_misspelt
from artifact_contract.nodes import quote

from esb_cli.sam.properties import Properties, is_nothing, of_fields
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Fields

SECTION = "esb"
KEY = "Sandbox"


def sandbox_of(props: Properties, resource: Resource) -> str:
    """One of the contract's sandboxes; "" where nothing is said. Another one is reported as wrong."""
    node = resource.attribute("Metadata")
    value = None if node is None else props.resolution.value(node)
    if not isinstance(value, Fields):
        return ""
    metadata = of_fields(value, f"Resources.{resource.logical_id}.Metadata", props)
    _refuse(metadata, SECTION, others=False)
    section = _section(metadata)
    if section is None:
        return ""
    _refuse(section, KEY, others=True)
    return _choice(section)


def _section(metadata: Properties) -> Properties | None:
    value = metadata.value(SECTION)
    if value is not None and is_nothing(value):
        metadata.wrong(SECTION, f"a mapping with {KEY}, or no such line", "nothing")
        return None
    return metadata.child(SECTION)


def _choice(section: Properties) -> str:
    expected = f"{', '.join(SANDBOXES[:-1])} or {SANDBOXES[-1]}"
    choice = section.text(KEY, expected)
    if choice is None or choice.text in SANDBOXES:
        return "" if choice is None else choice.text
    section.wrong(KEY, expected, quote(choice.text), at=choice)
    return ""


def _refuse(fields: Properties, word: str, *, others: bool) -> None:
    """Report the keys that were probably meant to be `word`; with `others`, each that isn't."""
    for name in fields.names():
        meant = is_misspelt(name, word)
        if meant or (others and name != word):
            fields.wrong(name, word, "an unknown key", f"write it {word}" if meant else "")
