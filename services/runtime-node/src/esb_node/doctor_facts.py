"""What the doctor sees of a host, and what a check says of it. Values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field, frozen

MODES = ("process", "docker", "containerd", "gvisor", "firecracker")


@frozen(kw_only=True)
class Kvm:
    """`/dev/kvm`: whether a virtual processor could be made (`error` is "" then), and on what it runs."""

    error: str = ""
    extension: str = ""  # "vmx" or "svm", "" when the processor shows neither
    hypervisor: bool = False


@frozen(kw_only=True)
class Facts:
    """One host at one moment. A text that names something not found or not answering is ""."""

    system: str = "Linux"
    kernel: tuple[int, int] = (6, 1)
    machine: str = "x86_64"
    python: tuple[int, int] = (3, 11)
    root: bool = False
    programs: Mapping[str, str] = field(factory=dict)  # name → path
    versions: Mapping[str, str] = field(factory=dict)  # program → what it says of itself
    modules: frozenset[str] = frozenset()  # importable Python packages
    engine: str = ""  # version of the Docker Engine
    compose: str = ""
    buildx: str = ""
    registry: str = ""  # its name
    registry_error: str = ""
    cni_directory: str = "/usr/lib/cni"
    cni_plugins: frozenset[str] = frozenset()
    cgroup_version: int = 0
    controllers: frozenset[str] = frozenset()
    forwarding: bool = False
    filesystems: frozenset[str] = frozenset()
    subnet: str = ""
    routes: str = ""  # as `ip -json -4 route show` prints them
    identity: str = ""
    bridge: str = ""
    identity_error: str = ""
    runsc_wrapper: str = ""
    runsc_wrapper_runs: bool = False
    kvm: Kvm = Kvm(error="not looked at")
    vsock_error: str = ""
    thin_pools: tuple[str, ...] = ()
    wanted_pool: str = ""
    kernel_image: str = ""
    kernel_image_error: str = ""

    def has(self, program: str) -> bool:
        """It is on this host's path."""
        return bool(self.programs.get(program))


@frozen
class Verdict:
    """`found` in a few words, for pass and fail alike."""

    passed: bool
    found: str


@frozen(kw_only=True)
class Check:
    """One requirement of one mode. `needed` False: the mode works without, with less.

    `part` is the one that needs it, of a mode whose parts may run in different places; "": all of them.
    """

    mode: str
    name: str
    part: str = ""
    needed: bool = True
    look: Callable[[Facts], Verdict]
    remedy: str


@frozen(kw_only=True)
class Finding:
    """A check that was made."""

    mode: str
    name: str
    needed: bool
    passed: bool
    found: str
    remedy: str


def examine(facts: Facts, checks: tuple[Check, ...]) -> tuple[Finding, ...]:
    """Make all the checks; a remedy is only there for what failed."""
    return tuple(
        Finding(
            mode=check.mode,
            name=check.name,
            needed=check.needed,
            passed=(verdict := check.look(facts)).passed,
            found=verdict.found,
            remedy="" if verdict.passed else check.remedy,
        )
        for check in checks
    )


def healthy(findings: tuple[Finding, ...]) -> bool:
    """Everything that is needed is there."""
    return all(one.passed for one in findings if one.needed)


def program(name: str) -> Callable[[Facts], Verdict]:
    """Build the look at a program: on the path, and what it says of itself."""

    def look(facts: Facts) -> Verdict:
        path = facts.programs.get(name, "")
        said = facts.versions.get(name, "")
        return Verdict(bool(path), f"{path} {said}".strip() if path else "not on PATH")

    return look


def number(version: str) -> tuple[int, ...]:
    """Read the leading numbers of a version: `26.1.5+dfsg1` is (26, 1, 5)."""
    found: list[int] = []
    for part in version.removeprefix("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)
