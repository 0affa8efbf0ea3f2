"""Which system calls a function may make: the built-in list, or a profile in Docker's format.

The built-in list allows what programs need to compute, to keep files and to talk over a network. What is
not on it fails with EPERM: mounting, tracing others, loading code into the kernel, keys, new namespaces,
rings of asynchronous I/O. Each rule costs the runtime time at every start, so there is one architecture, the
host's own, and arguments are looked at for three calls only.

    {"defaultAction", "architectures", "syscalls": [{"names", "action", "args", "errnoRet"}]}
"""

import errno
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from attrs import frozen

from esb_agent.errors import ConfigError

UNCONFINED = "unconfined"
ALLOW, REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
# What a machine is called by `uname`, by Docker's profiles, and by libseccomp.
ARCHITECTURES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
}
# All flags of clone() that make a namespace: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
NAMESPACE_FLAGS = 0x7E020000
ACTIONS = frozenset(
    f"SCMP_ACT_{name}"
    for name in ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "TRAP", "TRACE", "NOTIFY")
)
OPERATORS = frozenset(f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))

Rule = dict[str, object]
Profile = dict[str, object]


@frozen
class Host:
    """What a profile's conditions look at: the machine as `uname -m` says, the kernel's (major, minor)."""

    machine: str
    kernel: tuple[int, int]

    @classmethod
    def of(cls, machine: str, release: str) -> "Host":
        """From what `uname` tells. An unreadable release is the oldest."""
        found = re.match(r"(\d+)\.(\d+)", release)
        return cls(machine, (int(found[1]), int(found[2])) if found else (0, 0))

    @property
    def names(self) -> tuple[str, str]:
        """Docker's and libseccomp's of the machine. Raises ConfigError: there is no list for it."""
        try:
            return ARCHITECTURES[self.machine]
        except KeyError:
            known = ", ".join(ARCHITECTURES)
            message = (
                f"ESB_SECCOMP_PROFILE: no profile for machines of type {self.machine} (there is: {known})"
            )
            raise ConfigError(message) from None


def load_profile(choice: str, host: Host) -> Profile | None:
    """What ESB_SECCOMP_PROFILE asks for, as the OCI spec has it; None: no filter at all.

    Raises ConfigError: the file cannot be read, or says what no filter can be made of.
    """
    if choice == UNCONFINED:
        return None
    if not choice:
        return built_in(host)
    try:
        return from_docker(json.loads(Path(choice).read_bytes()), host)
    except OSError as error:
        raise ConfigError(f"ESB_SECCOMP_PROFILE: {choice}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        detail = f"missing {error}" if isinstance(error, KeyError) else error
        raise ConfigError(
            f"ESB_SECCOMP_PROFILE: {choice}: no profile in Docker's format: {detail}"
        ) from error


def built_in(host: Host) -> Profile:
    """The project's own list for functions."""
    _, architecture = host.names
    names = sorted({name for group in allowed_groups().values() for name in group})
    return {
        "defaultAction": REFUSE,
        "defaultErrnoRet": errno.EPERM,
        "architectures": [architecture],
        "syscalls": [{"names": names, "action": ALLOW}, *_looked_at()],
    }


@cache
def allowed_groups() -> Mapping[str, list[str]]:
    """The calls allowed whatever their arguments, by what they are for."""
    text = resources.files(__package__).joinpath("seccomp_default.json").read_text()
    groups: dict[str, list[str]] = json.loads(text)
    return groups


def _looked_at() -> list[Rule]:
    """Calls that depend on what they are asked."""
    same, masked = "SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ"
    # UNIX, INET, INET6, NETLINK: not VSOCK (the host), ALG (the kernel's ciphers), PACKET.
    families = (1, 2, 10, 16)
    sockets: list[Rule] = [
        {"names": ["socket"], "action": ALLOW, "args": [_argument(0, family, same)]} for family in families
    ]
    # As it is, and asking what it is.
    personalities: list[Rule] = [
        {"names": ["personality"], "action": ALLOW, "args": [_argument(0, value, same)]}
        for value in (0, 0xFFFFFFFF)
    ]
    return [
        {"names": ["clone"], "action": ALLOW, "args": [_argument(0, NAMESPACE_FLAGS, masked)]},
        # Its flags lie in memory where no filter sees them; told that it is missing, libraries take clone.
        {"names": ["clone3"], "action": REFUSE, "errnoRet": errno.ENOSYS},
        *sockets,
        *personalities,
    ]


def _argument(index: int, value: int, operator: str) -> Rule:
    if operator == "SCMP_CMP_MASKED_EQ":
        return {"index": index, "value": value, "valueTwo": 0, "op": operator}
    return {"index": index, "value": value, "op": operator}


def from_docker(profile: Mapping[str, object], host: Host) -> Profile:
    """Docker's format with its conditions decided: workers have no capability, the host is as given.

    Raises ValueError, TypeError, KeyError, AttributeError: not that format.
    """
    made: Profile = {
        "defaultAction": _action(profile["defaultAction"]),
        "architectures": _architectures(profile, host),
        "syscalls": [
            _rule(rule) for rule in _mappings(profile.get("syscalls"), "syscalls") if _applies(rule, host)
        ],
    }
    if "defaultErrnoRet" in profile:
        made["defaultErrnoRet"] = _number(profile["defaultErrnoRet"])
    return made


def _architectures(profile: Mapping[str, object], host: Host) -> list[str]:
    """The host's own and, where the profile says so, those whose programs it also runs."""
    _, native = host.names
    for entry in _mappings(profile.get("archMap"), "archMap"):
        if entry.get("architecture") == native:
            return [native, *_texts(entry.get("subArchitectures"))]
    named = _texts(profile.get("architectures"))
    if named and native not in named:
        raise ValueError(f"architectures: {native} is not among them")
    return named or [native]


def _applies(rule: Mapping[str, object], host: Host) -> bool:
    """Its `includes` all hold, and none of its `excludes`."""
    wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
    if not isinstance(wanted, Mapping) or not isinstance(unwanted, Mapping):
        raise TypeError("syscalls: includes and excludes are objects")
    docker_name, _ = host.names
    if wanted.get("caps") or docker_name in _texts(unwanted.get("arches")):
        return False
    if (arches := _texts(wanted.get("arches"))) and docker_name not in arches:
        return False
    if (oldest := wanted.get("minKernel")) and host.kernel < _kernel(oldest):
        return False
    newest = unwanted.get("minKernel")
    return not (newest and host.kernel >= _kernel(newest))


def _rule(rule: Mapping[str, object]) -> Rule:
    names = _texts(rule.get("names")) or [str(rule["name"])]
    made: Rule = {"names": names, "action": _action(rule["action"])}
    arguments = [_given_argument(one) for one in _mappings(rule.get("args"), "args")]
    if arguments:
        made["args"] = arguments
    if rule.get("errnoRet") is not None:
        made["errnoRet"] = _number(rule["errnoRet"])
    return made


def _given_argument(one: Mapping[str, object]) -> Rule:
    if one["op"] not in OPERATORS:
        raise ValueError(f"unknown operator {one['op']!r}")
    return {
        "index": _number(one["index"]),
        "value": _number(one["value"]),
        "valueTwo": _number(one.get("valueTwo") or 0),
        "op": one["op"],
    }


def _action(value: object) -> str:
    if value not in ACTIONS:
        raise ValueError(f"unknown action {value!r}")
    return str(value)


def _kernel(text: object) -> tuple[int, int]:
    major, _, minor = str(text).partition(".")
    return int(major), int(minor)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"expected a number, found {value!r}")
    return value


def _mappings(value: object, name: str) -> Iterable[Mapping[str, object]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise TypeError(f"{name}: expected a list of objects")
    return value


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"expected a list of strings, found {value!r}")
    return value
