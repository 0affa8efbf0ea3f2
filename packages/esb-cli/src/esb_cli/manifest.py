"""What `artifact.yml` says about the roots that were published (contract §3)."""

from collections.abc import Iterable
from datetime import UTC, datetime

from artifact_contract.models import (
    Entry,
    Generator,
    Manifest,
    MergePolicy,
    RuntimeHooks,
    RuntimeMeta,
    SchemaVersion,
    SecretName,
    SourceTemplate,
    TemplateRenderer,
    Text,
)
from artifact_contract.paths import RelPath, RootPath
from artifact_contract.verify import runtime_meta_digests
from artifact_contract.versions import RUNTIME_HOOKS_API, TEMPLATE_RENDERER_API, TEMPLATE_RENDERER_NAME

from esb_cli.publish import GENERATOR, Staged
from esb_cli.render import CONFIG_DIR, Target

__all__ = ["make_entry", "make_manifest"]


def make_manifest(target: Target, entries: Iterable[Entry], now: datetime, version: str) -> Manifest:
    """Return the manifest of these entries; `version` is esb's."""
    return Manifest(
        schema_version=SchemaVersion.V1,
        project=Text(target.project),
        env=Text(target.env),
        mode=target.mode,
        artifacts=tuple(entries),
        generated_at=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        generator=Generator(GENERATOR, version),
        merge_policy=MergePolicy.LAST_WRITE_WINS_V1,
    )


def make_entry(record: SourceTemplate, secrets: Iterable[str], staged: Staged, root: str) -> Entry:
    """Return the entry of a root; its digests are those of the files that were written.

    Args:
        record: The template it was made from.
        secrets: What has to be given when it is applied.
        staged: Its files.
        root: Its path as seen from the manifest.
    """
    digests = runtime_meta_digests(staged.files)
    return Entry(
        id=record.entry_id,
        artifact_root=RootPath(root),
        runtime_config_dir=RelPath(CONFIG_DIR),
        source_template=record,
        required_secret_env=tuple(SecretName(name) for name in secrets),
        content_digest=staged.content_digest,
        runtime_meta=RuntimeMeta(
            RuntimeHooks(
                RUNTIME_HOOKS_API,
                digests.python_sitecustomize_digest or "",
                digests.java_agent_digest or "",
                digests.java_wrapper_digest or "",
            ),
            TemplateRenderer(TEMPLATE_RENDERER_NAME, TEMPLATE_RENDERER_API, digests.template_digest or ""),
        ),
    )
