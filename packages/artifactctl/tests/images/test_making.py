from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from artifact_contract.errors import ArtifactError, Place, Problem
from artifact_contract.ids import EntryId
from artifactctl.errors import WorldError
from artifactctl.images.api import ImageResult, ImageStep
from artifactctl.images.making import make_all
from artifactctl.images.plan import ImagePlan
from artifactctl.images.recipe import Platform, Recipe
from artifactctl.images.target import StoredImage
from artifactctl.images.work import BaseUse, Build, Import, Work
from attrs import define, field

AMD64 = Platform("linux", "amd64")


@define
class Shelf:
    """A `Destination` in memory."""

    images: dict[str, StoredImage] = field(factory=dict)
    built: list[tuple[str, Mapping[str, str]]] = field(factory=list)

    def find(self, ref: str) -> StoredImage | None:
        return self.images.get(ref)

    def put(self, ref: str, recipes: Sequence[Recipe]) -> StoredImage:
        raise AssertionError

    def build(self, ref: str, build: Build, images: Mapping[str, str]) -> StoredImage:
        if b"exit 1" in build.text:
            raise ArtifactError([Problem(Place("Dockerfile", 2), "RUN", "success", "failure")])
        if b"offline" in build.text:
            raise WorldError("no network")
        self.built.append((ref, images))
        self.images[ref] = StoredImage(f"digest of {ref}", 1, build.inputs)
        return self.images[ref]

    def copy(self, source: str, ref: str, platforms: Sequence[Platform]) -> StoredImage:
        self.images[ref] = StoredImage(f"digest of {source}", 1, "")
        return self.images[ref]

    def name_of(self, ref: str) -> str:
        return f"mirror/{ref}"

    def name_of_stored(self, ref: str, stored: StoredImage) -> str:
        return f"{ref}@{stored.digest}"

    def commit(self) -> None:
        raise AssertionError


def build(text: str, *bases: BaseUse) -> Build:
    return Build(Path("Dockerfile"), text.encode(), (), (AMD64,), {}, bases)


def plan(ref: str, work: Work, *functions: str) -> ImagePlan:
    return ImagePlan(ref, EntryId("svc-00000000"), "Dockerfile", functions, work)


def make(shelf: Shelf, *plans: ImagePlan) -> tuple[dict[str, str], list[str]]:
    steps: list[str] = []

    def on_step(one: ImagePlan, step: ImageStep) -> None:
        steps.append(f"{one.ref} {step.value}")

    heard: list[ImageResult] = []
    with ThreadPoolExecutor(1) as pool:
        results = list(make_all(plans, shelf, pool, on_image=heard.append, on_step=on_step))
    assert sorted(one.ref for one in heard) == sorted(one.ref for one in results)
    return {one.ref: one.status.value for one in results}, steps


def test_bases_come_first_and_are_named_to_the_engine_by_their_digest() -> None:
    shelf, base = Shelf(), build("FROM debian")
    function = build("RUN x", BaseUse("base", base.inputs, ours=True), BaseUse("debian", "1"))
    statuses, steps = make(shelf, plan("f", function, "f"), plan("base", base))
    assert statuses == {"f": "built", "base": "built"}
    assert shelf.built == [
        ("base", {}),
        ("f", {"base": "base@digest of base", "debian": "mirror/debian"}),
    ]
    assert steps == ["base waiting", "f waiting", "base building", "f building"]


def test_a_function_never_gets_another_base_of_the_same_name() -> None:
    shelf = Shelf()
    function = build("RUN x", BaseUse("base", "inputs of another", ours=True))
    statuses, _ = make(shelf, plan("base", build("FROM debian")), plan("f", function, "f"))
    assert statuses == {"base": "built", "f": "failed"}


def test_what_fails_stops_nothing_but_what_is_on_it() -> None:
    bad = build("RUN exit 1")
    statuses, _ = make(
        Shelf(),
        plan("bad-base", bad),
        plan("on-it", build("RUN x", BaseUse("bad-base", bad.inputs, ours=True)), "a"),
        plan("offline", build("RUN offline"), "b"),
        plan("good", build("RUN y"), "c"),
    )
    assert statuses == {"bad-base": "failed", "on-it": "failed", "offline": "failed", "good": "built"}


def test_what_is_there_with_the_same_inputs_is_left_alone() -> None:
    shelf = Shelf()
    make(shelf, plan("f", build("RUN x"), "f"), plan("i", Import("source"), "i"))
    statuses, _ = make(shelf, plan("f", build("RUN x"), "f"), plan("i", Import("source"), "i"))
    assert statuses == {"f": "reused", "i": "reused"}
    statuses, _ = make(shelf, plan("f", build("RUN z"), "f"), plan("i", Import("other"), "i"))
    assert statuses == {"f": "built", "i": "built"}
