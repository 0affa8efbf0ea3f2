"""Certificates that open a connection, and those that don't."""

import json
import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from esb_node.certs import CertsError, describe_certs, init_certs, renew_certs
from esb_node.cli import command

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def made(tmp_path):
    directory = tmp_path / "certs"
    init_certs(directory, agent_names=("agent.box", "127.0.0.1"), owner="my-box", days=30, now=NOW)
    return directory


def connect(server_directory, client_directory, *, name="agent.box", client="gateway"):
    """A TLS handshake in memory. Returns the client's certificate as the server sees it."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server_directory / "ca.crt")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(server_directory / "agent.crt", server_directory / "agent.key")
    asking = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=client_directory / "ca.crt")
    asking.load_cert_chain(client_directory / f"{client}.crt", client_directory / f"{client}.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        asking.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    open_ends = list(ends)
    for _ in range(10):
        for end in list(open_ends):
            try:
                end.do_handshake()
                open_ends.remove(end)
            except ssl.SSLWantReadError:
                pass
    return ends[1].getpeercert()


def names_of(certificate):
    return {value for ((kind, value),) in certificate["subject"] if kind == "commonName"}


@pytest.mark.parametrize("name", ["agent.box", "127.0.0.1"])
def test_agent_and_gateway_know_each_other_and_the_gateway_is_the_owner(made, name):
    assert names_of(connect(made, made, name=name)) == {"my-box"}


def test_the_agent_is_known_by_its_names_only(made):
    with pytest.raises(ssl.SSLError, match=r"[Hh]ostname mismatch"):
        connect(made, made, name="elsewhere")


def test_each_certificate_is_for_its_own_use(made):
    with pytest.raises(ssl.SSLError):
        connect(made, made, client="agent")


def test_another_boxs_certificates_are_not_taken(made, tmp_path):
    init_certs(tmp_path / "b", agent_names=("agent.box",), owner="my-box", days=30, now=NOW)
    with pytest.raises(ssl.SSLError):
        connect(made, tmp_path / "b")


def test_keys_and_directory_are_their_owners_alone(made):
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()} == {0o600}
    assert sorted(path.name for path in made.iterdir()) == [
        f"{kind}.{end}" for kind in ("agent", "ca", "gateway") for end in ("crt", "key")
    ]


def test_what_is_there_is_not_replaced(made):
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    with pytest.raises(CertsError, match=r"has ca\.crt, ca\.key, .* already"):
        init_certs(made, agent_names=("a",), owner="b", days=1, now=NOW)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_a_renewal_keeps_names_and_authority_and_makes_new_keys(made, tmp_path):
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    old = tmp_path / "old"
    old.mkdir()
    for name, data in before.items():
        (old / name).write_bytes(data)
    found = {one.file: one for one in renew_certs(made, days=60, now=NOW)}
    assert found["agent.crt"].names == ("agent.box", "127.0.0.1")
    assert found["gateway.crt"].names == ("my-box",)
    assert found["agent.crt"].ends == NOW + timedelta(days=60)
    after = {path.name: path.read_bytes() for path in made.iterdir()}
    assert {name for name in before if before[name] == after[name]} == {"ca.crt", "ca.key"}
    assert names_of(connect(made, old)) == names_of(connect(old, made)) == {"my-box"}


def test_a_new_authority_and_the_old_one_are_both_trusted_until_the_next_renewal(made, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    for path in made.iterdir():
        (old / path.name).write_bytes(path.read_bytes())
    found = renew_certs(made, days=30, now=NOW, authority=True)
    assert [one.use for one in found] == ["authority", "authority", "agent, server", "gateway, client"]
    (old / "ca.crt").write_bytes((made / "ca.crt").read_bytes())
    # One side has changed over, the other still has its old certificate.
    assert connect(made, old)
    assert connect(old, made)
    renew_certs(made, days=30, now=NOW)
    with pytest.raises(ssl.SSLError):
        connect(made, old)
    assert connect(made, made)


def test_no_certificate_outlives_its_authority(made):
    ends = {one.file: one.ends for one in renew_certs(made, days=3650, now=NOW + timedelta(days=100))}
    assert ends["agent.crt"] == ends["ca.crt"]


def test_an_authority_that_has_expired_renews_nothing(made):
    with pytest.raises(CertsError, match=r"renew --ca"):
        renew_certs(made, days=30, now=NOW + timedelta(days=3651))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda made: (made / "ca.key").unlink(), "without the authority's key nothing can be renewed"),
        (lambda made: (made / "ca.key").write_text("none"), r"ca\.key: expected a PEM key"),
        (lambda made: (made / "agent.crt").write_text("none"), r"agent\.crt: expected a PEM certificate"),
        (lambda made: (made / "gateway.crt").unlink(), r"gateway\.crt: is not there"),
    ],
)
def test_what_cannot_be_read_is_named(made, spoil, text):
    spoil(made)
    with pytest.raises(CertsError, match=text):
        renew_certs(made, days=30, now=NOW)


@pytest.mark.parametrize("name", ["", "näme.box"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(CertsError, match="not"):
        init_certs(tmp_path, agent_names=(name,), owner="", days=1, now=NOW)


def test_a_refused_name_leaves_nothing_in_the_way_of_the_next_try(tmp_path):
    with pytest.raises(CertsError, match="not"):
        init_certs(tmp_path / "c", agent_names=("agent.box",), owner="o" * 65, days=1, now=NOW)
    init_certs(tmp_path / "c", agent_names=("agent.box",), owner="me", days=1, now=NOW)


def test_a_key_that_is_not_the_authoritys_signs_nothing(made, tmp_path):
    init_certs(tmp_path / "other", agent_names=("agent.box",), owner="me", days=30, now=NOW)
    before = (made / "agent.crt").read_bytes()
    (tmp_path / "other" / "ca.key").rename(made / "ca.key")
    with pytest.raises(CertsError, match=r"ca\.key: is not the key of ca\.crt"):
        renew_certs(made, days=30, now=NOW)
    assert (made / "agent.crt").read_bytes() == before


def run(*arguments):
    return CliRunner().invoke(command, ["certs", *map(str, arguments)])


def test_the_command_makes_shows_and_renews_them(tmp_path):
    made = run("init", "--dir", tmp_path / "c", "--owner", "box-1", "--agent-name", "a.b", "--days", "20")
    assert made.exit_code == 0
    ca, agent, gateway = made.stdout.splitlines()
    assert ca.startswith("ca.crt")
    assert agent.endswith("a.b")
    assert "renew soon" in agent
    assert gateway.endswith("box-1")
    assert run("renew", "--dir", tmp_path / "c").exit_code == 0
    shown = json.loads(run("show", "--dir", tmp_path / "c", "--output", "json").stdout)
    assert [one["names"] for one in shown[1:]] == [["a.b"], ["box-1"]]
    assert "renew soon" not in run("show", "--dir", tmp_path / "c").stdout
    assert len(run("renew", "--dir", tmp_path / "c", "--ca").stdout.splitlines()) == 4


def test_without_names_the_agent_is_this_host_and_loopback(tmp_path):
    assert run("init", "--dir", tmp_path / "c").exit_code == 0
    names = {one.file: one.names for one in describe_certs(tmp_path / "c")}
    assert {"localhost", "127.0.0.1", "::1"} < set(names["agent.crt"])
    assert names["gateway.crt"] == ("esb-gateway",)


def test_what_is_wrong_is_told_with_exit_4(tmp_path):
    result = run("show", "--dir", tmp_path)
    assert result.exit_code == 4
    assert "ca.crt: is not there" in result.stderr
