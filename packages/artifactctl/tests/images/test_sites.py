from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from artifact_contract.models import Mode
from artifactctl.errors import RequestError, WorldError
from artifactctl.images.api import (
    Builder,
    LayoutTarget,
    LocalEngine,
    PrepareImagesRequest,
    SiteRegistry,
    parse_overrides,
    parse_platforms,
)
from artifactctl.images.recipe import Platform
from artifactctl.images.sites import open_site, target_for
from artifactctl.images.work import Build

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LAYOUT = LayoutTarget(Path("images"))


def request(target: Any = None, **more: Any) -> PrepareImagesRequest:
    return PrepareImagesRequest(Path("artifact.yml"), target, NOW, **more)


def test_without_a_target_it_is_where_the_mode_takes_images_from() -> None:
    assert target_for(request(), Mode.DOCKER) == SiteRegistry()
    assert target_for(request(), Mode.CONTAINERD) == SiteRegistry()
    assert target_for(request(LAYOUT), Mode.DOCKER) == LAYOUT
    with pytest.raises(
        RequestError, match="--target: expected oci-layout:DIR for an artifact of mode process"
    ):
        target_for(request(), Mode.PROCESS)


@pytest.mark.parametrize(
    ("target", "more", "said"),
    [
        (LAYOUT, {"builder": Builder.BUILDX}, "--builder buildx"),
        (LAYOUT, {"overrides": {"a": "b"}}, "--image-override"),
        (LAYOUT, {"platforms": parse_platforms("linux/amd64,linux/arm64")}, "--platform"),
        (LocalEngine(), {"platforms": parse_platforms("linux/amd64,linux/arm64")}, "--platform"),
    ],
)
def test_what_a_target_cannot_do_is_refused(target: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said), open_site(request(target, **more), target, {}, print):
        pass


def test_what_planning_should_have_left_out_of_a_layout_is_refused_there_too(tmp_path: Path) -> None:
    target = LayoutTarget(tmp_path / "images")
    with open_site(request(target), target, {}, print) as site, site.opened(print) as destination:
        with pytest.raises(WorldError, match="b:1: a layout has no registry"):
            destination.copy("b:1", "a:1", ())
        build = Build(tmp_path / "Dockerfile", b"FROM b:1\nRUN true\n", (), ())
        with pytest.raises(WorldError, match="a:1: a layout has no engine"):
            destination.build("a:1", build, {})


def test_platforms_are_a_list_each_once() -> None:
    assert parse_platforms("linux/amd64, linux/arm64/v8,linux/amd64") == (
        Platform("linux", "amd64"),
        Platform("linux", "arm64", "v8"),
    )


@pytest.mark.parametrize("text", ["", "amd64", "linux/amd64,", "windows/amd64", "linux/AMD64"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="--platform"):
        parse_platforms(text)


@pytest.mark.parametrize("text", ["", "a", "a=", "=b", "a=b=c", "a b=c", "a=b c"])
def test_what_is_no_override_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="expected FROM=REF"):
        parse_overrides([text])


def test_one_from_goes_to_one_place() -> None:
    assert parse_overrides(["a=b", "a=b", "c=d"]) == {"a": "b", "c": "d"}
    with pytest.raises(RequestError, match="expected one REF, got b and x"):
        parse_overrides(["a=b", "a=x"])
