"""Which wheels an image is built from: read from the lock and what is installed, nothing is fetched."""

from __future__ import annotations

import os
import subprocess
import sys

import build_wheelhouse
import pytest
from build_service_images import OTHERS, SERVICES, STAND_INS, _of_mode
from build_wheelhouse import closure


def test_an_image_holds_its_service_what_that_needs_and_no_other_service() -> None:
    own, locked = closure("esb-gateway")
    assert own == {"esb-gateway", "esb-agent-api", "artifact-contract"}
    assert {"grpcio", "uvicorn", "cryptography"} <= locked  # The last one through an extra of pyjwt.
    assert not {"boto3", "moto", "pytest"} & locked


def test_the_stand_in_holds_no_member_and_no_more_of_moto_than_two_stores_need() -> None:
    own, locked = closure("moto")
    assert own == set()
    assert {"moto", "flask", "flask-cors", "werkzeug"} <= locked
    assert not {"cfn-lint", "sympy"} & locked


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_everything_an_image_holds_is_in_the_lock_with_digests_for_its_python(python: str) -> None:
    pins = build_wheelhouse._pins(build_wheelhouse._environment(python))
    for image in build_wheelhouse.IMAGES:
        for name in closure(image, python)[1]:
            assert "==" in pins[name], name
            assert "--hash=sha256:" in pins[name], name


def test_every_image_has_a_dockerfile_of_the_wheels_it_is_made_from() -> None:
    for image in SERVICES + STAND_INS:
        text = (build_wheelhouse.ROOT / image.dockerfile).read_text()
        assert image.installs in build_wheelhouse.IMAGES
        assert f"source=dist/wheelhouse/{image.installs}/locked," in text
        assert "FROM ${BASE} AS build" in text


def test_each_compose_file_has_all_the_images_it_names() -> None:
    for mode in OTHERS:
        text = (build_wheelhouse.ROOT / f"docker-compose.{mode}.yml").read_text()
        for image in SERVICES:
            assert (f"}}-{image.name}:" in text) == (image in _of_mode(mode)), (mode, image.name)


def test_images_of_a_box_without_a_name_are_not_built() -> None:
    without = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ESB_BRAND_SLUG", "PROJECT_NAME", "ESB_NETWORK")
    }
    done = subprocess.run(
        [sys.executable, "scripts/build_service_images.py", "--registry", "127.0.0.1:1"],
        cwd=build_wheelhouse.ROOT,
        env=without,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "ESB_BRAND_SLUG: expected a name for this box" in done.stderr
    assert done.stdout == ""
