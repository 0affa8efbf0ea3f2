"""An artifact that is right in every way, for tests that break one thing in it."""

import os
import shutil
import signal
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest
from artifact_contract.codec import dump_json, dump_yaml
from artifact_contract.config_files import CONFIG_FILES
from artifact_contract.loader import load_runtime_config
from artifact_contract.manifest import dump_manifest
from artifact_contract.models import Entry, Manifest, SourceTemplate
from artifact_contract.nodes import from_python
from artifactctl.api import ApplyRequest, MergeRequest
from artifactctl.disk import LocalDisk
from artifactctl.generations import TEMPORARY, generation_numbers, generation_path
from artifactctl.transaction import apply, merge

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


class ArtifactBuilder:
    """Entries by template; `write` puts them on the disk and returns the manifest's path."""

    def __init__(self, root: Path, project: str = "shop", env: str = "dev") -> None:
        self.root, self.project, self.env = root, project, env
        self.entries: dict[str, tuple[Entry, dict[str, str]]] = {}

    def entry(self, template="orders.yaml", *, functions=None, routes=None, files=None, **more):
        """Add an entry, or replace the one of this template; `files` are texts, which win."""
        name = template.replace("/", "-")
        source = SourceTemplate(template, "", more.pop("parameters", {}))
        fields = {key: more.pop(key) for key in list(more) if key not in {"defaults", "resources", "images"}}
        content = {"functions": {name: function() for name in functions or ()}}
        if isinstance(functions, dict):
            content = {"functions": {name: function(**body) for name, body in functions.items()}}
        if "defaults" in more:
            content = {"defaults": more["defaults"], **content}
        texts = {
            "functions.yml": dump_yaml(from_python(content)),
            "routing.yml": dump_yaml(from_python({"routes": list(map(route, routes or ()))})),
        }
        if "resources" in more:
            texts["resources.yml"] = dump_yaml(from_python({"resources": more["resources"]}))
        if "images" in more:
            texts["image-import.json"] = dump_json(from_python(more["images"]))
        made = Entry(
            id=source.entry_id,
            artifact_root=name,
            runtime_config_dir="runtime-config",
            source_template=source,
            **fields,
        )
        self.entries[made.id] = made, {**texts, **(files or {})}
        return self

    def write(self) -> Path:
        for entry, texts in self.entries.values():
            directory = self.root / entry.artifact_root / entry.runtime_config_dir
            directory.mkdir(parents=True, exist_ok=True)
            for name in ("functions.yml", "routing.yml", "resources.yml", "image-import.json"):
                (directory / name).unlink(missing_ok=True)
            for name, text in texts.items():
                if text is not None:
                    (directory / name).write_text(text)
        manifest = Manifest(
            schema_version="1",
            project=self.project,
            env=self.env,
            mode="process",
            artifacts=[entry for entry, _ in self.entries.values()],
        )
        (self.root / "artifact.yml").write_text(dump_manifest(manifest))
        return self.root / "artifact.yml"


def function(**more):
    return {"image": "registry:5010/shop:1", **more}


def route(given):
    """A route from `"GET /path"`, or as given."""
    if not isinstance(given, str):
        return given
    method, path = given.split(" ")
    return {"path": path, "method": method, "function": "api"}


class Box:
    """A CONFIG_DIR and what is done to it."""

    now = NOW

    def __init__(self, config_dir: Path) -> None:
        self.dir = config_dir
        self.disk = LocalDisk()

    def apply(self, builder, **options):
        extra = {key: options.pop(key) for key in ("disk", "on_wait") if key in options}
        extra.setdefault("disk", self.disk)
        request = ApplyRequest(artifact=builder.write(), config_dir=self.dir, now=NOW, **options)
        return apply(request, **extra)

    def merge(self, builder, **options):
        return merge(MergeRequest(artifact=builder.write(), config_dir=self.dir, now=NOW, **options))

    def config(self):
        return load_runtime_config(self.dir).config

    def functions(self):
        return {name: function.image for name, function in self.config().functions.functions.items()}

    def text(self, name):
        return (self.dir / name).read_text()

    def tree(self):
        """Everything there is, with what would change if anything were written."""
        return {
            str(path.relative_to(self.dir)): (
                path.lstat().st_mtime_ns,
                path.lstat().st_ino,
                path.lstat().st_size,
            )
            for path in [self.dir, *self.dir.rglob("*")]
        }

    def names(self):
        return sorted(str(path.relative_to(self.dir)) for path in self.dir.rglob("*"))


@pytest.fixture
def build(tmp_path):
    """A maker of artifacts: `build("shop")` for a project."""

    def make(project="shop", env="dev", name=None):
        return ArtifactBuilder(tmp_path / (name or f"artifact-{project}-{env}"), project, env)

    return make


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path / "config")


class QuickDisk(LocalDisk):
    """Doesn't wait for the device; for tests in which no power is cut."""

    def sync(self, path):
        assert path.exists()


class States:
    """States of a CONFIG_DIR whose four files say the same number, and what they say."""

    quick_disk = QuickDisk()

    def __init__(self, box: Box, build) -> None:
        self.box, self.build = box, build

    def version(self, number):
        """An artifact that says its number in each of the four files."""
        return self.build(name=f"artifact-{number}").entry(
            functions={f"only-in-{number}": {}, "api": {"image": f"r/api:{number}"}},
            routes=[f"GET /{number}"],
            resources={"dynamodb": [{"TableName": f"table-{number}"}]},
            images={"version": "1", "push_target": "", "images": [{"function_name": f"only-in-{number}"}]},
        )

    def what_it_says(self):
        """The numbers that all four files say, as `0+1`; None without a config."""
        if not (self.box.dir / "functions.yml").exists() and not (self.box.dir / "current").exists():
            return None
        config = self.box.config()
        said = [
            {name.removeprefix("only-in-") for name in config.functions.functions} - {"api"},
            {route.path.removeprefix("/") for route in config.routing},
            {str(table["TableName"]).removeprefix("table-") for table in config.resources.dynamodb},
            {image.function_name.removeprefix("only-in-") for image in config.images.images},
        ]
        assert said == [said[0]] * 4
        assert config.functions.functions["api"].image == f"r/api:{max(said[0])}"
        return "+".join(sorted(said[0]))

    def are_generations_whole(self):
        """Whether each directory that has a generation's name has all its files."""
        names = {*CONFIG_FILES, "ownership.json", "generation.json"}
        kept = [generation_path(self.box.dir, number) for number in generation_numbers(self.box.dir)]
        return all({file.name for file in path.iterdir()} == names for path in kept)

    def leftovers(self):
        return [name for name in self.box.names() if TEMPORARY in name]

    def prepare(self, scenario):
        """Make a state; returns what it says, and what it says once version 1 is applied."""
        box = self.box
        if scenario == "nothing":
            return None, "1"
        for number in "abc" if scenario == "many generations" else "":
            box.apply(self.version(number))
        box.apply(self.version("0"))
        if scenario == "plain files":
            texts = {name: box.text(name) for name in CONFIG_FILES}
            shutil.rmtree(box.dir)
            box.dir.mkdir()
            for name, text in texts.items():
                (box.dir / name).write_text(text)
            return "0", "0+1"
        if scenario == "an edited file":
            text = box.text("functions.yml")
            (box.dir / "functions.yml").unlink()
            (box.dir / "functions.yml").write_text(f"# mine\n{text}")
        return "0", "1"


@pytest.fixture
def states(box, build):
    return States(box, build)


class Children:
    """Functions run as forked processes; whatever still runs at the end of a test is ended."""

    def __init__(self) -> None:
        self.running: list[int] = []

    def start(self, action) -> int:
        child = os.fork()
        if not child:
            code = 1
            try:
                action()
                code = 0
            except BaseException:  # noqa: BLE001 - the child's outermost point
                traceback.print_exc()
            finally:
                os._exit(code)
        self.running.append(child)
        return child

    def result_of(self, child: int) -> int:
        """Wait for its end; 0, its exit code, or the negative number of the signal that ended it."""
        self.running.remove(child)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def run(self, action) -> bool:
        """Run to its end; whether SIGKILL was that end. Any other failure fails the test."""
        result = self.result_of(self.start(action))
        assert result in {0, -signal.SIGKILL}
        return result != 0

    @staticmethod
    def wait_for(condition) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.fixture
def children():
    started = Children()
    yield started
    for child in started.running:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
