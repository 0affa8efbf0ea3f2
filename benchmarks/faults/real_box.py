"""A real embedded box as a person has it: `esb-node`, `esb artifact` and `artifactctl` as commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from faults.remains import marked_processes

BIN = Path(sys.executable).parent
_COMMAND_SECONDS = 120.0
_POLL = 0.02


class BoxError(Exception):
    """The box does not do what it has to; the text has what was printed."""


class RealBox:
    """One box below `place`, with the functions of one template; `environ` is added to its environment."""

    def __init__(self, place: Path, environ: Mapping[str, str] | None = None) -> None:
        self.place = place
        self.state = place / "box"
        self.config = self.state / "config"
        self.artifact = place / "artifact"
        hidden = ("AWS_", "ESB_", "MOTO_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        self._environ = kept | dict(environ or {})

    def command(self, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of this environment below `place`."""
        argv = [str(BIN / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(
            argv,
            cwd=self.place,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise BoxError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def up(self) -> str:
        """Start the box; what the command printed."""
        return self.command("esb-node", "up", "--state", self.state, "--detach").stdout

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Up, with what was generated applied and served; down at the end."""
        self.up()
        try:
            self.apply()
            self.until(lambda: self.health().get("generation") == self.generation(), "generation served")
            yield
        finally:
            self.down()

    def down(self) -> None:
        """Stop the box; fine when it is down."""
        self.command("esb-node", "down", "--state", self.state)

    def generate(self, template: str, sources: Mapping[str, str]) -> None:
        """An artifact and its images; `sources` are files beside the template."""
        (self.place / "template.yaml").write_text(template)
        for name, text in sources.items():
            file = self.place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self.place / "esb.toml").write_text('[project]\nname = "faults"\n')
        self.prepare()

    def prepare(self) -> None:
        """Generate, and put the images where the box looks for them."""
        self.command("esb", "artifact", "generate", "--output", self.artifact)
        layout = f"oci-layout:{self.state / 'images'}"
        self.command(
            "artifactctl", "prepare-images", "--artifact", self.artifact / "artifact.yml", "--target", layout
        )

    def apply(self, replace: Mapping[str, str] | None = None) -> str:
        """Put the artifact in force, with texts of its functions.yml replaced; the generation's name."""
        artifact = self.artifact
        if replace:
            artifact = self.place / "changed"
            shutil.rmtree(artifact, ignore_errors=True)
            shutil.copytree(self.artifact, artifact)
            (functions,) = artifact.rglob("functions.yml")
            text = functions.read_text()
            for old, new in replace.items():
                if old not in text:
                    raise BoxError(f"{functions}: there is no {old!r} to replace")
                text = text.replace(old, new)
            functions.write_text(text)
        self.command("artifactctl", "apply", "--artifact", artifact / "artifact.yml", "--out", self.config)
        return self.generation()

    def generation(self) -> str:
        """The generation that is in force."""
        return (self.config / "current").readlink().name

    def status(self) -> dict[str, Any]:
        """The state file, as it is."""
        found: dict[str, Any] = json.loads((self.state / "box.json").read_text())
        return found

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        return str(self.status()["urls"]["gateway"])

    def services(self) -> dict[str, int]:
        """The processes of the services that run, and of their supervisor."""
        status = self.status()
        running = {service["name"]: service["pid"] for service in status["services"] if service["pid"]}
        if status["supervisor_pid"]:
            running["supervisor"] = status["supervisor_pid"]
        return running

    def workers(self) -> list[int]:
        """The processes of functions: children of the keeper, which is the agent's child."""
        agent = self.services().get("agent")
        return [pid for keeper in children(agent) for pid in children(keeper)] if agent else []

    def credentials(self) -> dict[str, Any]:
        """The credentials of the box, as its file has them."""
        file = self.state / "gateway" / "credentials.yml"
        found: dict[str, Any] = YAML(typ="safe", pure=True).load(file.read_text())
        return found

    def operator(self) -> tuple[str, str]:
        """The operator's key pair: id and secret."""
        keys = self.credentials()["access_keys"]
        pair = next(key for key in keys if key["name"] == "operator")
        return pair["access_key_id"], pair["secret_access_key"]

    def health(self) -> dict[str, Any]:
        """What the gateway says of itself; nothing when it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (OSError, ValueError):
            return {}

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise BoxError(f"not within {seconds:g} s: {what}; {self.health()}")
            time.sleep(_POLL)

    def left_behind(self) -> list[str]:
        """Processes that have this box in their arguments or their environment."""
        return marked_processes(str(self.state))


def children(pid: int | None) -> list[int]:
    """The children of a process; none when it is gone."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MiB; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def descriptors(pid: int) -> int:
    """How many file descriptors a process holds; 0 when it is gone."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0
