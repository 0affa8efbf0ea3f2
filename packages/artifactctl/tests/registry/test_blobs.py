from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256

import pytest
from artifactctl.registry.blobs import Blob, blob_of
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.references import Repository

DATA = bytes(range(256)) * 4
DIGEST = f"sha256:{sha256(DATA).hexdigest()}"


@pytest.fixture
def repository(registry) -> Repository:
    return Repository(registry.name, "team/app")


def in_pieces(data: bytes, opened: list[int]) -> Blob:
    """A blob whose pieces are no chunks, and that notes where reading began."""

    def read(offset: int) -> Iterator[bytes]:
        opened.append(offset)
        return (data[at : at + 33] for at in range(offset, len(data), 33))

    return Blob(f"sha256:{sha256(data).hexdigest()}", len(data), read)


def test_a_small_blob_takes_two_requests(registry, repository, clients) -> None:
    clients().blobs.push(repository, blob_of(DIGEST, DATA))
    assert registry.blobs["team/app"] == {DIGEST: DATA}
    assert [line.split()[0] for line in registry.log] == ["POST", "PUT"]


def test_a_big_blob_goes_in_chunks_and_is_read_once(registry, repository, client) -> None:
    opened: list[int] = []
    client.blobs.push(repository, in_pieces(DATA, opened))
    assert registry.blobs["team/app"] == {DIGEST: DATA}
    assert registry.count("PATCH") == 11
    assert opened == [0]


@pytest.mark.parametrize("keep", [0, 1, 2, 50, 99])
def test_after_a_broken_connection_only_what_is_missing_is_sent(
    registry, repository, client, clients, keep: int
) -> None:
    registry.fail("PATCH", "uploads", keep=keep, after=1)
    opened: list[int] = []
    client.blobs.push(repository, in_pieces(DATA, opened))
    assert registry.blobs["team/app"] == {DIGEST: DATA}
    assert opened == [0, 100 + keep]
    assert len(clients.waits) == 1
    assert registry.count("POST") == 1


def test_an_upload_the_registry_has_forgotten_begins_again(registry, repository, client, clients) -> None:
    registry.fail("PATCH", "uploads", status=404)
    client.blobs.push(repository, in_pieces(DATA, []))
    assert registry.blobs["team/app"] == {DIGEST: DATA}
    assert len(clients.waits) == 1
    assert registry.count("POST") == 2


def test_a_small_blob_whose_connection_breaks_is_sent_again(registry, repository, client, clients) -> None:
    registry.fail("PUT", "uploads", keep=10)
    client.blobs.push(repository, in_pieces(DATA[:50], []))
    assert list(registry.blobs["team/app"].values()) == [DATA[:50]]
    assert registry.count("POST") == 2


def test_a_registry_that_never_takes_it_is_given_up_on(registry, repository, client, clients) -> None:
    registry.fail("PATCH", "uploads", status=503, body=b"full", times=99)
    with pytest.raises(RegistryError, match=r"cannot push sha256:.* to team/app: 503 full") as caught:
        client.blobs.push(repository, in_pieces(DATA, []))
    assert caught.value.status == 503
    assert len(clients.waits) == 5


def test_progress_that_is_always_lost_again_is_no_progress(registry, repository, client, clients) -> None:
    registry.fail("PUT", "uploads", keep=0, times=99)
    with pytest.raises(RegistryError, match="the connection broke"):
        client.blobs.push(repository, in_pieces(DATA, []))
    assert len(clients.waits) < 20


def test_bytes_that_changed_are_refused_with_the_registrys_words(registry, repository, client) -> None:
    blob = Blob(DIGEST, 10, lambda _: iter((b"other data",)))
    with pytest.raises(RegistryError, match="400 DIGEST_INVALID: provided digest did not match"):
        client.blobs.push(repository, blob)
    assert registry.count("PUT") == 1


def test_a_file_that_cant_be_read_is_no_fault_of_the_registry(registry, repository, client) -> None:
    def broken(_: int) -> Iterator[bytes]:
        yield b"x" * 10
        raise FileNotFoundError(2, "gone", "/some/file")

    with pytest.raises(FileNotFoundError, match="gone"):
        client.blobs.push(repository, Blob(DIGEST, 1000, broken))


def test_too_many_requests_wait_as_long_as_the_registry_says(registry, repository, client, clients) -> None:
    registry.fail("POST", "uploads", status=429, headers={"Retry-After": "7"})
    registry.fail("HEAD", "blobs", status=429, headers={"Retry-After": "3"})
    assert not client.blobs.has(repository, DIGEST)
    client.blobs.push(repository, blob_of(DIGEST, DATA))
    assert clients.waits == [3.0, 7.0]


def test_waits_become_longer(registry, repository, client, clients) -> None:
    registry.fail("HEAD", "blobs", status=502, times=4)
    assert not client.blobs.has(repository, DIGEST)
    assert len(clients.waits) == 4
    assert all(0.1 * 2**n <= wait <= 0.2 * 2**n for n, wait in enumerate(clients.waits))


def test_a_blob_is_taken_over_from_another_repository(registry, repository, client) -> None:
    digest = registry.add_blob("base", DATA)
    assert client.blobs.mount(repository, digest, "base") is None
    assert registry.blobs["team/app"] == {digest: DATA}


def test_where_nothing_can_be_taken_over_the_answer_is_a_place_to_upload_to(
    registry, repository, client
) -> None:
    place = client.blobs.mount(repository, DIGEST, "base")
    assert place is not None
    client.blobs.push(repository, blob_of(DIGEST, DATA), place)
    assert registry.count("POST") == 1
    assert registry.blobs["team/app"] == {DIGEST: DATA}


def test_reading_goes_on_where_a_connection_broke(registry, repository, client, clients) -> None:
    digest = registry.add_blob("team/app", DATA)
    registry.fail("GET", "blobs/sha256", cut=300)
    assert b"".join(client.blobs.read(repository, digest)) == DATA
    assert registry.sent[-1]["Range"] == "bytes=300-"
    assert len(clients.waits) == 1
    assert b"".join(client.blobs.read(repository, digest, 1000)) == DATA[1000:]


def test_bytes_of_another_digest_are_refused_at_the_end(registry, repository, client) -> None:
    registry.blobs["team/app"] = {DIGEST: DATA + b"x"}
    with pytest.raises(RegistryError, match="bytes of sha256:"):
        list(client.blobs.read(repository, DIGEST))
    with pytest.raises(RegistryError, match="bytes of sha256:"):
        client.blobs.get(repository, DIGEST)


def test_blobs_that_are_elsewhere_are_fetched_there_without_our_password(
    registry, registries, repository, clients, tmp_path
) -> None:
    other = registries()
    registry.basic = "me:secret"
    registry.blob_host = other.name
    digest = registry.add_blob("team/app", DATA)
    other.add_blob("team/app", DATA)
    config = tmp_path / "config.json"
    config.write_text(f'{{"auths": {{"{registry.name}": {{"username": "me", "password": "secret"}}}}}}')
    client = clients(docker_config=config)
    assert client.blobs.get(repository, digest) == DATA
    assert "Authorization" in registry.sent[-1]
    assert "Authorization" not in other.sent[-1]


def test_a_redirect_to_a_host_in_plain_http_is_not_followed(registry, repository, client) -> None:
    registry.blob_host = "elsewhere.example.com"
    digest = registry.add_blob("team/app", DATA)
    with pytest.raises(RegistryError, match="redirects to http://elsewhere"):
        client.blobs.get(repository, digest)


def test_any_cut_of_any_upload_ends_with_the_same_bytes(registry, repository, clients) -> None:
    numbers = random.Random(4)
    for _ in range(20):
        data = numbers.randbytes(numbers.randrange(1, 700))
        registry.failures.clear()
        for _ in range(numbers.randrange(3)):
            method, keep = numbers.choice(["PATCH", "PUT"]), numbers.randrange(2)
            registry.fail(method, "uploads", keep=keep)
        client = clients(chunk_size=numbers.randrange(1, 300))
        blob = in_pieces(data, [])
        client.blobs.push(repository, blob)
        assert registry.blobs["team/app"][blob.digest] == data
