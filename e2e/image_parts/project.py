"""A project whose images go to a registry, and the commands that are run in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from attrs import Factory, define, frozen

from image_parts.needs import LAMBDA_BASE, MIB, PUBLIC_BASE

_BIN = Path(sys.executable).parent


@frozen
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int

    def failed_clearly(self) -> str:
        """What it said, after making sure that the world is to blame and that it says so in words."""
        assert self.code == 4, f"{self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err
        return self.err

    def worked(self) -> Done:
        """Itself, when it did."""
        assert self.code == 0, f"{self.code}\n{self.out}\n{self.err}"
        return self


@define
class Project:
    """An artifact whose images go to a registry, generated from a template of a few functions."""

    home: Path
    host: str
    prefix: tuple[str, ...] = ()
    environment: dict[str, str] = Factory(dict)

    @property
    def manifest(self) -> Path:
        """The artifact."""
        return self.home / "artifact" / "artifact.yml"

    def generate(self, *names: str, payload: int = 0, sparse: bool = False, mode: str = "docker") -> Project:
        """The artifact, with so many bytes beside the code of the first function."""
        resources = {}
        for name in names:
            source = self.home / name
            source.mkdir(parents=True, exist_ok=True)
            (source / "app.py").write_text(f"def handler(event, context):\n    return {{'{name}': event}}\n")
            properties = {"Runtime": "python3.12", "Handler": "app.handler", "CodeUri": f"{name}/"}
            resources[f"{name.title()}Function"] = {
                "Type": "AWS::Serverless::Function",
                "Properties": properties,
            }
        if payload:
            with (self.home / names[0] / "payload").open("wb") as file:
                while not sparse and file.tell() < payload:
                    file.write(os.urandom(MIB))
                file.truncate(payload)
        head = {"AWSTemplateFormatVersion": "2010-09-09", "Transform": "AWS::Serverless-2016-10-31"}
        (self.home / "template.yaml").write_text(yaml.safe_dump({**head, "Resources": resources}))
        (self.home / "esb.toml").write_text(f'[project]\nname = "faults"\n[defaults]\nmode = "{mode}"\n')
        words = ("artifact", "generate", "--template", "template.yaml")
        self.finish(self.begin("esb", *words, CONTAINER_REGISTRY=self.host)).worked()
        return self

    def images(self) -> list[str]:
        """The references of the functions' images."""
        found: list[str] = []
        for file in sorted(self.home.glob("artifact/*/runtime-config/functions.yml")):
            functions = yaml.safe_load(file.read_text())["functions"]
            found += [each["image"] for each in functions.values()]
        assert found
        return found

    def needs_engine(self, name: str) -> None:
        """Give a function's Dockerfile a step that has to be executed."""
        (dockerfile,) = self.home.glob(f"artifact/*/functions/*{name.title()}*/Dockerfile")
        dockerfile.write_text(f"{dockerfile.read_text()}RUN python3 -c 'import app'\n")

    def prepare(self, *words: str, target: str = "registry", **environment: str) -> Done:
        """Run `artifactctl prepare-images` to its end."""
        return self.finish(self.begin_prepare(*words, target=target, **environment))

    def begin_prepare(
        self, *words: str, target: str = "registry", **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start `artifactctl prepare-images`."""
        given = ("--artifact", str(self.manifest), "--target", target)
        base = (
            () if target.startswith("oci-layout:") else ("--image-override", f"{PUBLIC_BASE}={LAMBDA_BASE}")
        )
        return self.begin("artifactctl", "prepare-images", *given, *base, *words, **environment)

    def begin(self, program: str, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program of this checkout, with an environment that has nothing of the caller's."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "DOCKER_CONFIG": str(self.home / ".docker"),
        }
        environ |= {**self.environment, **environment}
        (self.home / ".docker").mkdir(exist_ok=True)
        with (self.home / "out").open("wb") as out, (self.home / "err").open("wb") as err:
            return subprocess.Popen(
                [*self.prefix, str(_BIN / program), *words],
                **{
                    "cwd": self.home,
                    "env": environ,
                    "stdin": subprocess.DEVNULL,
                    "stdout": out,
                    "stderr": err,
                },
            )

    def finish(self, process: subprocess.Popen[bytes], seconds: float = 300) -> Done:
        """Wait for a program; also says how much memory it took, in bytes."""
        began = time.monotonic()
        while True:
            pid, code, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > seconds:
                process.kill()
                process.wait()
                pytest.fail(f"not done within {seconds} s\n{(self.home / 'err').read_text()}")
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(code)
        texts = ((self.home / name).read_text() for name in ("out", "err"))
        return Done(process.returncode, *texts, time.monotonic() - began, used.ru_maxrss * 1024)
