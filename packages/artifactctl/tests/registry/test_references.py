from __future__ import annotations

import pytest
from artifactctl.registry.references import (
    Reference,
    Repository,
    has_registry,
    parse_reference,
    parse_registry,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

DIGEST = "sha256:" + "0a" * 32

components = st.from_regex(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", fullmatch=True)
names = st.lists(components, min_size=1, max_size=4).map("/".join).filter(lambda name: len(name) < 200)
hosts = st.sampled_from(["localhost", "reg.example.com", "LOUD", "127.0.0.1", "[::1]"])
registries = st.one_of(
    st.sampled_from(["localhost", "reg.example.com", "LOUD", "[::1]"]),
    st.builds("{}:{}".format, hosts, st.integers(1, 65535)),
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
references = st.builds(
    Reference, st.builds(Repository, registries, names), tags, st.sampled_from(["", DIGEST])
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.12", "docker.io/library/python:3.12"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/python:3", "docker.io/library/python:3"),
        ("index.docker.io/python:3", "docker.io/library/python:3"),
        ("localhost/app:1", "localhost/app:1"),
        ("reg:5000/a/b:v1", "reg:5000/a/b:v1"),
        ("public.ecr.aws/lambda/python:3.12", "public.ecr.aws/lambda/python:3.12"),
        (f"reg.io/a@{DIGEST}", f"reg.io/a@{DIGEST}"),
        (f"reg.io/a:1@{DIGEST}", f"reg.io/a:1@{DIGEST}"),
    ],
)
def test_what_a_reference_leaves_out_is_what_docker_would_take(text: str, expected: str) -> None:
    assert str(parse_reference(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "a:", "A", "a/B", "a//b", "/a", "a/", "a b", "a:b c", "reg.io:99999/a", "reg.io:/a",
        "a@sha256:1",
        "a@md5:" + "0" * 32, "a:-x", "a__-b", "../a", "reg.io/../a", "a:" + "x" * 129, "a" * 256, "é", "a:é",
        "https://reg.io/a", "a@", "-reg.io/a", "user@reg.io/a",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_reference(text)


@settings(max_examples=30)
@given(references)
def test_a_reference_that_says_everything_reads_as_it_is_written(reference: Reference) -> None:
    assert parse_reference(str(reference)) == reference
    assert has_registry(str(reference))


@given(st.text(max_size=60))
def test_parsing_gives_a_reference_that_stays_the_same_or_an_error(text: str) -> None:
    try:
        found = parse_reference(text)
    except ValueError:
        return
    assert parse_reference(str(found)) == found


@settings(max_examples=30)
@given(names, tags)
def test_a_default_registry_counts_only_where_none_is_named(name: str, tag: str) -> None:
    assume(not has_registry(f"{name}:{tag}"))
    short = parse_reference(f"{name}:{tag}", default_registry="reg.io:5000")
    assert short == Reference(Repository("reg.io:5000", name), tag)


def test_the_digest_decides_what_is_asked_for() -> None:
    reference = parse_reference(f"reg.io/a:1@{DIGEST}")
    assert reference.version == DIGEST
    assert parse_reference("reg.io/a:1").version == "1"
    assert str(reference.at("other:1")) == f"other:1/a:1@{DIGEST}"


def test_registry_names_are_checked() -> None:
    assert parse_registry("registry-1.docker.io") == "docker.io"
    for text in ("", "a/b", "http://a", "a:0", "a:x", "a b"):
        with pytest.raises(ValueError, match="a registry such as"):
            parse_registry(text)
