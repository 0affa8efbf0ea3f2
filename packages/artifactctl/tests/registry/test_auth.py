from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from artifactctl.registry.challenges import best_challenge, parse_challenges
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.references import Repository, parse_reference

SECRET = "hunter2"
DIGEST = f"sha256:{1:064x}"


def config_for(place: Path, **document: object) -> Path:
    path = place / "config.json"
    path.write_text(json.dumps(document))
    return path


def login(registry, place: Path, user: str = f"me:{SECRET}") -> Path:
    auth = base64.b64encode(user.encode()).decode()
    return config_for(place, auths={registry.name: {"auth": auth}})


def test_a_password_is_sent_once_the_registry_has_asked_for_it(registry, clients, tmp_path) -> None:
    registry.basic = f"me:{SECRET}"
    client = clients(docker_config=login(registry, tmp_path))
    for _ in range(3):
        assert client.manifests.get(parse_reference(f"{registry.name}/a:1")) is None
    assert len(registry.log) == 4


@pytest.mark.parametrize("user", [None, "me:wrong"])
def test_without_the_right_password_the_error_says_how_to_log_in(registry, clients, tmp_path, user) -> None:
    registry.basic = f"me:{SECRET}"
    client = clients(docker_config=login(registry, tmp_path, user) if user else None)
    with pytest.raises(RegistryError) as caught:
        client.manifests.get(parse_reference(f"{registry.name}/a:1"))
    assert caught.value.status == 401
    assert f"docker login {registry.name}" in str(caught.value)
    assert "UNAUTHORIZED: authentication required" in str(caught.value)
    assert len(registry.log) == (2 if user else 1)


def test_a_token_is_bought_once_for_a_repository(registry, clients, tmp_path) -> None:
    registry.token_login = f"me:{SECRET}"
    client = clients(docker_config=login(registry, tmp_path))
    reference = parse_reference(f"{registry.name}/a/b:1")
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            list(pool.map(lambda _: client.manifests.get(reference), range(8)))
    assert len(registry.token_requests) == 1
    form, _ = registry.token_requests[0]
    assert form == {"service": ["fake"], "scope": ["repository:a/b:pull"]}


def test_what_is_needed_next_can_be_asked_for_at_once(registry, clients, tmp_path) -> None:
    registry.token_login = f"me:{SECRET}"
    client = clients(docker_config=login(registry, tmp_path))
    reference = parse_reference(f"{registry.name}/a:1")
    assert client.manifests.get(reference, also_push=True) is None
    assert not client.blobs.has(reference.repository, DIGEST)
    assert len(registry.token_requests) == 1


def test_taking_a_blob_over_asks_for_both_repositories(registry, clients, tmp_path) -> None:
    registry.token_login = f"me:{SECRET}"
    digest = registry.add_blob("base", b"data")
    client = clients(docker_config=login(registry, tmp_path))
    assert client.blobs.mount(Repository(registry.name, "app"), digest, "base") is None
    assert registry.token_requests[-1][0]["scope"] == ["repository:app:pull,push", "repository:base:pull"]


def test_a_token_that_has_ended_is_bought_again(registry, clients, tmp_path) -> None:
    registry.token_login = f"me:{SECRET}"
    client = clients(docker_config=login(registry, tmp_path))
    reference = parse_reference(f"{registry.name}/a:1")
    assert client.manifests.get(reference) is None
    registry.tokens.clear()
    registry.tokens["other"] = []
    assert client.manifests.get(reference) is None
    assert len(registry.token_requests) == 2


def test_an_identity_token_buys_access_tokens(registry, clients, tmp_path) -> None:
    registry.token_login = "identity"
    config = config_for(tmp_path, auths={registry.name: {"identitytoken": "identity"}})
    assert clients(docker_config=config).manifests.get(parse_reference(f"{registry.name}/a:1")) is None
    form, headers = registry.token_requests[0]
    assert form["grant_type"] == ["refresh_token"]
    assert "Authorization" not in headers


def test_a_refused_token_is_an_error_without_the_password(registry, clients, tmp_path) -> None:
    registry.token_login = "me:other"
    client = clients(docker_config=login(registry, tmp_path))
    with pytest.raises(RegistryError, match="cannot get a token: 401") as caught:
        client.manifests.get(parse_reference(f"{registry.name}/a:1"))
    assert SECRET not in str(caught.value)


def test_passwords_are_not_sent_to_a_realm_in_plain_http(registry, clients, tmp_path) -> None:
    header = 'Bearer realm="http://evil.example.com/token",service="x"'
    registry.fail("GET", "manifests", status=401, headers={"WWW-Authenticate": header}, times=9)
    client = clients(docker_config=login(registry, tmp_path))
    with pytest.raises(RegistryError, match="it sends us to 'http://evil"):
        client.manifests.get(parse_reference(f"{registry.name}/a:1"))


def helper(place: Path, name: str, script: str) -> dict[str, str]:
    path = place / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{place}:/usr/bin:/bin"}


def test_a_credential_helper_is_asked_with_the_name_of_the_registry(registry, clients, tmp_path) -> None:
    registry.basic = f"me:{SECRET}"
    document = f'{{"ServerURL":"x","Username":"me","Secret":"{SECRET}"}}'
    environment = helper(tmp_path, "box", f"cat > {tmp_path}/asked; echo '{document}'")
    config = config_for(tmp_path, credHelpers={registry.name: "box"})
    client = clients(docker_config=config, environment=environment)
    assert client.manifests.get(parse_reference(f"{registry.name}/a:1")) is None
    assert (tmp_path / "asked").read_text() == registry.name


def test_a_helper_for_all_gives_identity_tokens_too(registry, clients, tmp_path) -> None:
    registry.token_login = "identity"
    document = '{"Username":"<token>","Secret":"identity"}'
    environment = helper(tmp_path, "all", f"cat >/dev/null; echo '{document}'")
    client = clients(docker_config=config_for(tmp_path, credsStore="all"), environment=environment)
    assert client.manifests.get(parse_reference(f"{registry.name}/a:1")) is None


def test_a_store_that_knows_nothing_leaves_the_file(registry, clients, tmp_path) -> None:
    registry.basic = f"me:{SECRET}"
    environment = helper(
        tmp_path, "empty", "cat >/dev/null; echo credentials not found in native keychain; exit 1"
    )
    auth = base64.b64encode(f"me:{SECRET}".encode()).decode()
    config = config_for(tmp_path, credsStore="empty", auths={f"https://{registry.name}/v1/": {"auth": auth}})
    client = clients(docker_config=config, environment=environment)
    assert client.manifests.get(parse_reference(f"{registry.name}/a:1")) is None


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f"cat >/dev/null; echo {SECRET} >&2; exit 3", "docker-credential-box ended with status 3"),
        (f"cat >/dev/null; echo {SECRET}", "docker-credential-box printed no credentials"),
    ],
)
def test_a_helper_that_fails_is_an_error_that_shows_nothing_it_printed(
    registry, clients, tmp_path, script, expected
) -> None:
    registry.basic = f"me:{SECRET}"
    environment = helper(tmp_path, "box", script)
    client = clients(docker_config=config_for(tmp_path, credsStore="box"), environment=environment)
    with pytest.raises(RegistryError, match=expected) as caught:
        client.manifests.get(parse_reference(f"{registry.name}/a:1"))
    assert SECRET not in str(caught.value)


def test_a_helper_that_isnt_installed_is_named(registry, clients, tmp_path) -> None:
    registry.basic = "x:y"
    config = config_for(tmp_path, credsStore="absent")
    client = clients(docker_config=config, environment={"PATH": str(tmp_path)})
    with pytest.raises(RegistryError, match="docker-credential-absent isn't on PATH"):
        client.manifests.get(parse_reference(f"{registry.name}/a:1"))


@pytest.mark.parametrize("text", [f'{{"{SECRET}', "[]", '{"auths": 1}', '{"auths": {"X": {"auth": "§"}}}'])
def test_a_broken_config_file_is_an_error_that_shows_nothing_of_it(registry, clients, tmp_path, text) -> None:
    registry.basic = "x:y"
    path = tmp_path / "config.json"
    path.write_text(text.replace("X", registry.name))
    with pytest.raises(RegistryError, match=r"config\.json") as caught:
        clients(docker_config=path).manifests.get(parse_reference(f"{registry.name}/a:1"))
    assert SECRET not in str(caught.value)


def test_challenges_are_read_as_they_come() -> None:
    header = (
        'Basic realm="a, b", Bearer realm="https://x/t",service="s\\"q",scope="a:b:pull,push" , Negotiate'
    )
    found = parse_challenges(header)
    assert [one.scheme for one in found] == ["basic", "bearer", "negotiate"]
    assert found[0].parameters == {"realm": "a, b"}
    assert found[1].parameters == {"realm": "https://x/t", "service": 's"q', "scope": "a:b:pull,push"}
    assert best_challenge(header).scheme == "bearer"
    assert best_challenge("Negotiate abc") is None
    assert best_challenge("") is None
