"""What modes process and docker need of a host, and where all checks are gathered."""

from __future__ import annotations

from functools import partial

from esb_node.doctor_containerd import CONTAINERD
from esb_node.doctor_facts import Check, Facts, Verdict, number
from esb_node.doctor_sandbox import FIRECRACKER, GVISOR

LEAST_PYTHON = (3, 11)
LEAST_ENGINE, LEAST_COMPOSE = (25,), (2, 24)
PARTS = ("esb_agent", "esb_gateway", "esb_provisioner", "moto")


def linux(facts: Facts) -> Verdict:
    """Pass on Linux; workers are namespaces and cgroups."""
    return Verdict(facts.system == "Linux", f"{facts.system} {facts.kernel[0]}.{facts.kernel[1]}")


def python(facts: Facts) -> Verdict:
    """Pass from 3.11 on."""
    return Verdict(facts.python >= LEAST_PYTHON, f"{facts.python[0]}.{facts.python[1]}")


def parts(facts: Facts) -> Verdict:
    """Pass when the services of the embedded box can be imported."""
    missing = [name for name in PARTS if name not in facts.modules]
    return Verdict(not missing, "all there" if not missing else f"missing: {', '.join(missing)}")


def engine(facts: Facts) -> Verdict:
    """Pass when an engine from 25 on answers."""
    return Verdict(number(facts.engine) >= LEAST_ENGINE, facts.engine or "no answer")


def compose(facts: Facts) -> Verdict:
    """Pass from 2.24 on, which has optional env files."""
    return Verdict(number(facts.compose) >= LEAST_COMPOSE, facts.compose or "not there")


def buildx(facts: Facts) -> Verdict:
    """Pass when there is one; prepare-images builds with it."""
    return Verdict(bool(facts.buildx), facts.buildx or "not there")


def registry(facts: Facts) -> Verdict:
    """Pass when the registry that CONTAINER_REGISTRY names answers."""
    if not facts.registry:
        return Verdict(False, "CONTAINER_REGISTRY is not set")
    return Verdict(not facts.registry_error, f"{facts.registry}: {facts.registry_error or 'answers'}")


def identity(facts: Facts) -> Verdict:
    """Pass when the environment says who the box is."""
    return Verdict(bool(facts.identity), facts.identity or facts.identity_error)


_process, _docker = partial(Check, mode="process"), partial(Check, mode="docker")

PROCESS = (
    _process(name="linux", look=linux, remedy="run it on a Linux host"),
    _process(name="python", look=python, remedy="install Python 3.11 or newer"),
    _process(name="parts", look=parts, remedy="pip install 'esb-runtime-node[embedded]'"),
)
DOCKER = (
    _docker(name="linux", look=linux, remedy="run it on a Linux host"),
    _docker(
        name="engine",
        look=engine,
        remedy="install Docker Engine 25 or newer, start it, and be in the group of its socket",
    ),
    _docker(name="compose", look=compose, remedy="install compose 2.24 or newer (package docker-compose)"),
    _docker(name="buildx", look=buildx, remedy="install buildx (package docker-buildx)"),
    _docker(
        name="registry",
        needed=False,
        look=registry,
        remedy="set CONTAINER_REGISTRY; `docker compose up registry` brings one at 127.0.0.1:5010",
    ),
    _docker(
        name="identity",
        look=identity,
        remedy="set ESB_BRAND_SLUG, or PROJECT_NAME and ENV (docs/runtime-identity-contract.md)",
    ),
)
IDENTITY = Check(
    mode="containerd",
    name="identity",
    look=identity,
    remedy="set ESB_BRAND_SLUG, or PROJECT_NAME and ENV (docs/runtime-identity-contract.md)",
)
CHECKS = {
    "process": PROCESS,
    "docker": DOCKER,
    "containerd": (*CONTAINERD, IDENTITY),
    "gvisor": GVISOR,
    "firecracker": FIRECRACKER,
}
