"""The matrix: which suites there are, which profiles, what each needs. A mistake is told with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

# Artifacts are committed and the applier deploys them, in one way, so that tests never see the producer.
ONLY = {"deploy_driver": "artifact", "artifact_generate": "none"}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_KEYS = {
    "description": str,
    "driver": str,
    "deploy_driver": str,
    "artifact_generate": str,
    "artifact": str,
    "data_plane": str,
    "suites": list,
    "requires": list,
    "capabilities": list,
    "environment": dict,
    "image_overrides": dict,
    "settings": dict,
    "status": str,
    "reasons": list,
    "preflight": str,
}
_NEEDED = ("driver", "deploy_driver", "artifact_generate", "artifact", "suites")


class MatrixError(Exception):
    """The matrix is wrong; a line for each mistake."""


@attrs.frozen
class Requirement:
    """What a host must have, `value` being which: `registry` `127.0.0.1:5010`."""

    kind: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.value}".strip()


@attrs.frozen
class Suite:
    """A directory of tests."""

    name: str
    path: str
    description: str = ""


@attrs.frozen
class Profile:
    """One way to have a box, and what is run against it. `deferred` says why it isn't run at all, if so.

    `preflight` is the doctor's mode whose missing requirements are told of a deferred one.
    """

    name: str
    driver: str
    artifact: Path
    suites: tuple[Suite, ...]
    requires: tuple[Requirement, ...] = ()
    capabilities: frozenset[str] = frozenset()
    environment: Mapping[str, str] = attrs.field(factory=dict)
    image_overrides: Mapping[str, str] = attrs.field(factory=dict)
    settings: Mapping[str, str] = attrs.field(factory=dict)
    deferred: tuple[str, ...] = ()
    preflight: str = ""
    description: str = ""
    data_plane: str = ""


def load(file: Path, root: Path, drivers: tuple[str, ...], probes: tuple[str, ...]) -> dict[str, Profile]:
    """Read the profiles, in the file's order; MatrixError has all mistakes together."""
    try:
        read = YAML(typ="safe", pure=True).load(file.read_text())
    except (OSError, YAMLError) as error:
        raise MatrixError(f"{file}: cannot be read: {error}") from error
    reader = _Reader(file.name)
    profiles = reader.matrix(read, root, drivers, probes)
    if reader.problems:
        raise MatrixError("\n".join(reader.problems))
    return profiles


class _Reader:
    """Reads and collects what is wrong."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[str] = []

    def wrong(self, where: str, expected: str, found: object) -> None:
        self.problems.append(f"{self._file}: {where}: expected {expected}, found {found!r}")

    def mapping(self, value: object, where: str) -> dict[str, object]:
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return value
        self.wrong(where, "a mapping", value)
        return {}

    def matrix(
        self, value: object, root: Path, drivers: tuple[str, ...], probes: tuple[str, ...]
    ) -> dict[str, Profile]:
        top = self.mapping(value, "the file")
        for key in top.keys() - {"suites", "profiles"}:
            self.wrong(key, "suites or profiles", key)
        suites = self.suites(top.get("suites"), root)
        profiles = self.mapping(top.get("profiles"), "profiles")
        found = {}
        for name, given in profiles.items():
            where = f"profiles.{name}"
            if not _NAME.fullmatch(name):
                self.wrong(where, "a name of a-z, 0-9 and -", name)
            before = len(self.problems)
            keys = self.keys(self.mapping(given, where), where)
            if keys is not None:
                self.one_of(keys["driver"], f"{where}.driver", drivers)
                made = self.profile(name, keys, where, suites, root, probes)
                if len(self.problems) == before:
                    found[name] = made
        return found

    def suites(self, value: object, root: Path) -> dict[str, Suite]:
        found = {}
        for name, given in self.mapping(value, "suites").items():
            keys = self.mapping(given, f"suites.{name}")
            path = str(keys.get("path", ""))
            if not path or not (root / path).is_dir():
                self.wrong(f"suites.{name}.path", "a directory of the checkout", path)
            found[name] = Suite(name, path, str(keys.get("description", "")))
        return found

    def keys(self, given: dict[str, object], where: str) -> dict[str, object] | None:
        """Check which keys there are and of which type; None when nothing can be made of them."""
        before = len(self.problems)
        for key, value in given.items():
            if key not in _KEYS:
                self.wrong(f"{where}.{key}", f"one of {', '.join(_KEYS)}", key)
            elif not isinstance(value, _KEYS[key]):
                self.wrong(f"{where}.{key}", f"a {_KEYS[key].__name__}", value)
        for key in _NEEDED:
            if key not in given:
                self.wrong(f"{where}.{key}", "a value", None)
        for key, only in ONLY.items():
            if given.get(key, only) != only:
                self.wrong(f"{where}.{key}", f"{only!r}, the only one there is", given[key])
        return given if len(self.problems) == before else None

    def one_of(self, value: object, where: str, known: tuple[str, ...]) -> None:
        if value not in known:
            self.wrong(where, f"one of {', '.join(known)}", value)

    def profile(
        self,
        name: str,
        keys: dict[str, object],
        where: str,
        suites: Mapping[str, Suite],
        root: Path,
        probes: tuple[str, ...],
    ) -> Profile:
        for suite in self.texts(keys, "suites", where):
            self.one_of(suite, f"{where}.suites", tuple(suites))
        requires = [self.requirement(entry, f"{where}.requires", probes) for entry in _list(keys, "requires")]
        deferred = self.texts(keys, "reasons", where)
        match keys.get("status", "active"):
            case "active" if deferred:
                self.wrong(f"{where}.reasons", "nothing unless status is deferred", list(deferred))
            case "deferred" if not deferred:
                self.wrong(f"{where}.reasons", "why it is deferred", None)
            case "active" | "deferred":
                pass
            case other:
                self.wrong(f"{where}.status", "active or deferred", other)
        return Profile(
            name=name,
            driver=str(keys["driver"]),
            artifact=root / str(keys["artifact"]),
            suites=tuple(suites[suite] for suite in self.texts(keys, "suites", where) if suite in suites),
            requires=tuple(requires),
            capabilities=frozenset(self.texts(keys, "capabilities", where)),
            environment=self.settings(keys, "environment", where),
            image_overrides=self.settings(keys, "image_overrides", where),
            settings=self.settings(keys, "settings", where),
            deferred=deferred,
            preflight=str(keys.get("preflight", "")),
            description=str(keys.get("description", "")),
            data_plane=str(keys.get("data_plane", "")),
        )

    def texts(self, keys: dict[str, object], key: str, where: str) -> tuple[str, ...]:
        found = _list(keys, key)
        if not all(isinstance(entry, str) for entry in found):
            self.wrong(f"{where}.{key}", "a list of texts", found)
        return tuple(map(str, found))

    def settings(self, keys: dict[str, object], key: str, where: str) -> dict[str, str]:
        found = self.mapping(keys.get(key, {}), f"{where}.{key}")
        for name, value in found.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                self.wrong(f"{where}.{key}.{name}", "a text or a number", value)
        return {name: str(value) for name, value in found.items()}

    def requirement(self, entry: object, where: str, probes: tuple[str, ...]) -> Requirement:
        """`docker`, or `registry: 127.0.0.1:5010`."""
        kind, value = (
            next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (entry, "")
        )
        self.one_of(kind, where, probes)
        return Requirement(str(kind), str(value))


def choose(
    profiles: Mapping[str, Profile], wanted: tuple[str, ...], complain: Callable[[str], Exception]
) -> list[Profile]:
    """Return the profiles of these names, or all; raises what `complain` makes of an unknown one."""
    for name in wanted:
        if name not in profiles:
            raise complain(f"--profile {name}: expected one of {', '.join(profiles)}")
    return [profile for name, profile in profiles.items() if not wanted or name in wanted]


def _list(keys: Mapping[str, object], key: str) -> list[object]:
    found = keys.get(key, [])
    return found if isinstance(found, list) else []
