"""Which sandboxes the drivers have that cannot choose one for each function."""

from esb_agent.errors import BadRequestError
from esb_agent.model import FunctionSpec

# What a mode's workers are shut in anyway; a mode that is not here decides by itself.
OWN = {"process": (), "docker": ("runc",)}


def check_sandbox(spec: FunctionSpec, mode: str) -> None:
    """Raises BadRequestError: a sandbox this mode has not is asked for; none is taken instead."""
    if not spec.sandbox or spec.sandbox in OWN.get(mode, (spec.sandbox,)):
        return
    raise BadRequestError(
        f"function {spec.name}: sandbox {spec.sandbox}: mode {mode} has no choice of sandboxes "
        "(run it in mode containerd, or take `sandbox` out of functions.yml)"
    )
