"""What a function's workers are shut in: `Metadata: {esb: {Sandbox: gvisor}}`, a word of this product's own.

SAM hands metadata on unread, so a template that has it deploys to AWS as before.
"""

from artifact_contract.config_sections import SANDBOXES

from esb_cli.sam.properties import Properties, of_fields
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Fields

SECTION = "esb"


def sandbox_of(props: Properties, resource: Resource) -> str:
    """One of the contract's sandboxes; "" where nothing is said. Another one is reported as wrong."""
    node = resource.attribute("Metadata")
    value = None if node is None else props.resolution.value(node)
    if not isinstance(value, Fields):
        return ""
    metadata = of_fields(value, f"Resources.{resource.logical_id}.Metadata", props)
    section = metadata.child(SECTION)
    if section is None:
        return ""
    choice = section.text("Sandbox")
    section.finish(f"Metadata.{SECTION}")
    if choice is None:
        return ""
    if choice.text not in SANDBOXES:
        section.wrong("Sandbox", f"{', '.join(SANDBOXES[:-1])} or {SANDBOXES[-1]}", choice.text)
        return ""
    return choice.text
