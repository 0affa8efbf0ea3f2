"""What a manifest says, as frozen values; an object that exists is valid (contract §3, §4).

The types of single fields carry their rule (`EntryId`, `RelPath`, ...); the constructors check what
takes several fields: an entry's id is the one its template gives, the ids of a manifest differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import NewType, TypeVar

from attrs import field, frozen

from artifact_contract.errors import FieldError, Kind
from artifact_contract.ids import EntryId, canonical_ref, entry_id, parse_entry_id
from artifact_contract.paths import RelPath, RootPath, parse_rel_path, parse_root_path
from artifact_contract.versions import SCHEMA_VERSION

Text = NewType("Text", str)
"""A text that isn't blank."""

SecretName = NewType("SecretName", str)
"""The name of an environment variable."""

MERGE_POLICY = "last_write_wins_v1"

_NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
E = TypeVar("E", bound=Enum)


class Mode(Enum):
    """Where the workers run."""

    DOCKER = "docker"
    CONTAINERD = "containerd"
    PROCESS = "process"


class ImagePrewarm(Enum):
    """Whether images are fetched before the first call."""

    ALL = "all"
    OFF = "off"


class MergePolicy(Enum):
    """How entries are merged; there is one way."""

    LAST_WRITE_WINS_V1 = MERGE_POLICY


class SchemaVersion(Enum):
    """The versions of the manifest's schema that this tool reads."""

    V1 = SCHEMA_VERSION


def parse_text(text: str) -> Text:
    """A text that isn't blank.

    Raises:
        FieldError: it is.
    """
    if not text.strip():
        raise FieldError("a text", repr(text) if text else "nothing")
    return Text(text)


def parse_secret_name(text: str) -> SecretName:
    """The name of an environment variable that must have a secret value (§8).

    Raises:
        FieldError: no environment variable is called this.
    """
    if not _SECRET_NAME.fullmatch(text):
        raise FieldError("a name of letters, digits and _", repr(text), kind=Kind.SECRET)
    return SecretName(text)


def parse_choice(choices: type[E], text: str) -> E:
    """The one of the choices that is written like this.

    Raises:
        FieldError: there is none; lists those there are.
    """
    for choice in choices:
        if choice.value == text:
            return choice
    kind = Kind.VERSION if choices is SchemaVersion else Kind.SCHEMA
    raise FieldError(alternatives([choice.value for choice in choices]), repr(text), kind=kind)


def alternatives(words: Sequence[str]) -> str:
    """The words as a message lists them: `docker, containerd or process`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _mode(value: Mode | str) -> Mode:
    return value if isinstance(value, Mode) else parse_choice(Mode, value)


def _prewarm(value: ImagePrewarm | str | None) -> ImagePrewarm | None:
    return parse_choice(ImagePrewarm, value) if isinstance(value, str) else value


def _policy(value: MergePolicy | str | None) -> MergePolicy | None:
    return parse_choice(MergePolicy, value) if isinstance(value, str) else value


def _schema_version(value: SchemaVersion | str) -> SchemaVersion:
    return value if isinstance(value, SchemaVersion) else parse_choice(SchemaVersion, value)


def _rel_path(value: str | None) -> RelPath | None:
    return None if value is None else parse_rel_path(value)


def _secret_names(value: Iterable[str]) -> tuple[SecretName, ...]:
    return tuple(parse_secret_name(name) for name in value)


def _entries(value: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(value)


def _parameters(value: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(value)) if value else _NO_PARAMETERS


@frozen
class Generator:
    """What made the artifact."""

    name: str = ""
    version: str = ""


@frozen
class SourceTemplate:
    """The template an entry was made from: a record, it need not exist any more (§5)."""

    path: Text = field(converter=parse_text)
    sha256: str = ""
    parameters: Mapping[str, str] = field(default=_NO_PARAMETERS, converter=_parameters)

    @property
    def ref(self) -> str:
        """The one spelling of the path (§4)."""
        return canonical_ref(self.path)

    @property
    def entry_id(self) -> EntryId:
        """The id of an entry made from this template (§4)."""
        return entry_id(self.path, self.parameters, self.sha256)


@frozen
class RuntimeHooks:
    """The runtime hooks an artifact carries; digests as written, empty when not given (§6, §7)."""

    api_version: str = ""
    python_sitecustomize_digest: str = ""
    java_agent_digest: str = ""
    java_wrapper_digest: str = ""


@frozen
class TemplateRenderer:
    """The templates the artifact's Dockerfiles were rendered from (§6, §7)."""

    name: str = ""
    api_version: str = ""
    template_digest: str = ""


@frozen
class RuntimeMeta:
    """What an artifact says about the runtime it was made for."""

    runtime_hooks: RuntimeHooks | None = None
    template_renderer: TemplateRenderer | None = None


@frozen(kw_only=True)
class Entry:
    """One source template's part of the artifact.

    Raises:
        FieldError: the id isn't the one `source_template` gives.
    """

    id: EntryId = field(converter=parse_entry_id)
    artifact_root: RootPath = field(converter=parse_root_path)
    runtime_config_dir: RelPath = field(converter=parse_rel_path)
    bundle_manifest: RelPath | None = field(default=None, converter=_rel_path)
    image_prewarm: ImagePrewarm | None = field(default=None, converter=_prewarm)
    required_secret_env: tuple[SecretName, ...] = field(default=(), converter=_secret_names)
    source_template: SourceTemplate
    runtime_meta: RuntimeMeta | None = None
    content_digest: str = ""

    def __attrs_post_init__(self) -> None:
        check_entry_id(self.id, self.source_template.entry_id)


def check_entry_id(written: str, recomputed: EntryId) -> None:
    """An id is the one its entry gives.

    Raises:
        FieldError: it isn't; shows both.
    """
    if written != recomputed:
        hint = "the id is made from source_template: path, parameters and sha256"
        raise FieldError(recomputed, written, path=("id",), hint=hint, kind=Kind.ID)


@frozen(kw_only=True)
class Manifest:
    """`artifact.yml`: the single source of truth; the order of `artifacts` is the only order there is.

    Raises:
        FieldError: there is no entry, or an id is used twice.
    """

    schema_version: SchemaVersion = field(converter=_schema_version)
    project: Text = field(converter=parse_text)
    env: Text = field(converter=parse_text)
    mode: Mode = field(converter=_mode)
    generated_at: str = ""
    generator: Generator | None = None
    merge_policy: MergePolicy | None = field(default=None, converter=_policy)
    artifacts: tuple[Entry, ...] = field(converter=_entries)

    def __attrs_post_init__(self) -> None:
        if not self.artifacts:
            raise FieldError("at least one entry", "none", path=("artifacts",))
        first_use: dict[EntryId, int] = {}
        for index, entry in enumerate(self.artifacts):
            check_unused(entry.id, index, first_use.setdefault(entry.id, index))


def check_unused(written: str, index: int, first: int) -> None:
    """An id is used once in a manifest; `first` is the index of the first entry that has it.

    Raises:
        FieldError: it isn't.
    """
    if first != index:
        found = f"{written}, which artifacts[{first}] has too"
        raise FieldError("an id of its own", found, path=("artifacts", index, "id"), kind=Kind.ID)
