"""One builder of a valid artifact; a test breaks exactly one thing of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from artifact_contract.manifest import LoadedManifest, dump_manifest, load_manifest
from artifact_contract.models import (
    Entry,
    Manifest,
    RuntimeHooks,
    RuntimeMeta,
    SourceTemplate,
    TemplateRenderer,
)
from artifact_contract.tree import digest_tree
from artifact_contract.verify import runtime_meta_digests
from hypothesis import HealthCheck, settings

# how long an example takes depends on who else uses the machine
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

FILES = {
    "runtime-config/functions.yml": "functions:\n  hello:\n    image: demo-dev-hello:1\n",
    "runtime-config/routing.yml": "routes:\n  - path: /hello\n    function: hello\n",
    "functions/hello/Dockerfile": "FROM esb-lambda-base:python3.12-0\n",
    "functions/hello/src/app.py": "def handler(event, context):\n    return {}\n",
    "runtime-base/runtime-hooks/python/sitecustomize/site-packages/sitecustomize.py": "# hooks\n",
    "runtime-base/runtime-templates/python/templates/dockerfile.tmpl": "FROM base\n",
}


class ArtifactBuilder:
    """A valid artifact in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "out"
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def entry(self, **changes: object) -> Entry:
        template = SourceTemplate("template.yaml")
        digests = runtime_meta_digests(self.root)
        fields: dict[str, object] = {
            "id": template.entry_id,
            "artifact_root": "out",
            "runtime_config_dir": "runtime-config",
            "source_template": template,
            "runtime_meta": RuntimeMeta(
                RuntimeHooks("1.0", digests.python_sitecustomize_digest or ""),
                TemplateRenderer("esb", "1.0", digests.template_digest or ""),
            ),
            "content_digest": digest_tree(self.root),
        }
        return Entry(**{**fields, **changes})  # type: ignore[arg-type]

    def load(self, **changes: object) -> LoadedManifest:
        """The manifest with one entry, changed as told, written and read again."""
        entry = self.entry(**changes)
        manifest = Manifest(
            schema_version="1",
            project="demo",
            env="dev",
            mode="process",
            generated_at="2026-01-31T12:00:00Z",
            artifacts=[entry],
        )
        path = self.directory / "artifact.yml"
        path.write_text(dump_manifest(manifest), encoding="utf-8")
        return load_manifest(path)


@pytest.fixture
def artifact(tmp_path: Path) -> ArtifactBuilder:
    return ArtifactBuilder(tmp_path)
