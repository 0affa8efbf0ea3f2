"""Mutual TLS over real connections: who may come, as whom, and what changes without a restart."""

import datetime
import ipaddress

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from esb_agent.address import TcpAddress, TlsFiles
from esb_agent.errors import ConfigError
from esb_agent.fleet import Fleet
from esb_agent.server import serve
from esb_agent.testing import FakeDriver
from esb_agent_api import agent_pb2 as pb
from esb_agent_api.agent_pb2_grpc import AgentStub

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def pem_of(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """Issues certificates of any kind, good ones and bad ones."""

    def __init__(self, name="authority of the box"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            self._builder(self.name, self.key, NOW - DAY, NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def _builder(self, subject, key, begins, ends):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )

    def issue(self, common_name, *, names=("127.0.0.1",), begins=NOW - DAY, ends=NOW + DAY):
        """(certificate, key), in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        addresses = [
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            for name in names
        ]
        made = self._builder(subject, key, begins, ends).add_extension(
            x509.SubjectAlternativeName(addresses), critical=False
        )
        signed = made.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM), pem_of(key)


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def files(tmp_path, authority):
    found = TlsFiles(certificate=tmp_path / "a.crt", key=tmp_path / "a.key", authority=tmp_path / "ca.crt")
    write(found, *authority.issue("esb-agent"), authority.pem)
    return found


def write(files, certificate, key, authority):
    for path, data in ((files.certificate, certificate), (files.key, key), (files.authority, authority)):
        fresh = path.with_suffix(".new")
        fresh.write_bytes(data)
        fresh.replace(path)


@pytest.fixture
async def server(files):
    started = await serve(
        Fleet(FakeDriver({"echo:1": lambda payload: payload})), TcpAddress("127.0.0.1", 0, files), "1"
    )
    yield started
    await started.stop(None)


async def health(server, authority_pem, identity=(None, None), owner="box"):
    certificate, key = identity
    credentials = grpc.ssl_channel_credentials(authority_pem, key, certificate)
    async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
        return await AgentStub(channel).Health(pb.HealthRequest(owner_id=owner), timeout=10)


async def refused(call, *codes):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() in codes


async def test_a_client_of_the_authority_is_served_as_the_owner_its_certificate_names(server, authority):
    assert (await health(server, authority.pem, authority.issue("box"))).serving


async def test_an_alternative_name_will_do(server, authority):
    identity = authority.issue("host 7", names=("box", "other"))
    assert (await health(server, authority.pem, identity)).serving
    assert (await health(server, authority.pem, identity, owner="other")).serving


async def test_another_owner_than_the_certificates_is_refused(server, authority):
    identity = authority.issue("somebody")
    await refused(health(server, authority.pem, identity), grpc.StatusCode.PERMISSION_DENIED)


async def test_a_client_without_a_certificate_is_refused(server, authority):
    await refused(health(server, authority.pem), grpc.StatusCode.UNAVAILABLE)


async def test_a_certificate_of_another_authority_is_refused(server, authority):
    await refused(health(server, authority.pem, Authority().issue("box")), grpc.StatusCode.UNAVAILABLE)


@pytest.mark.parametrize(
    "period", [{"ends": NOW - DAY / 2}, {"begins": NOW + DAY / 2}], ids=["expired", "not yet valid"]
)
async def test_a_certificate_out_of_its_time_is_refused(server, authority, period):
    await refused(
        health(server, authority.pem, authority.issue("box", **period)), grpc.StatusCode.UNAVAILABLE
    )


async def test_a_client_refuses_an_agent_of_another_authority(server, authority):
    await refused(health(server, Authority().pem, authority.issue("box")), grpc.StatusCode.UNAVAILABLE)


async def test_a_plain_client_is_refused(server):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = AgentStub(channel).Health(pb.HealthRequest(owner_id="box"), timeout=5)
        await refused(call, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_certificates_are_loaded_again_when_the_files_change(server, files, authority):
    successor = Authority("successor")
    write(files, *successor.issue("esb-agent"), successor.pem + authority.pem)
    # Both are trusted while clients change over.
    assert (await health(server, successor.pem, authority.issue("box"))).serving
    assert (await health(server, successor.pem, successor.issue("box"))).serving
    write(files, *successor.issue("esb-agent"), successor.pem)
    await refused(health(server, successor.pem, authority.issue("box")), grpc.StatusCode.UNAVAILABLE)
    assert (await health(server, successor.pem, successor.issue("box"))).serving


async def test_files_that_do_not_go_together_leave_the_old_ones_in_use(server, files, authority):
    certificate, key = authority.issue("esb-agent")
    files.certificate.write_bytes(certificate)
    assert (await health(server, authority.pem, authority.issue("box"))).serving
    files.key.unlink()
    assert (await health(server, authority.pem, authority.issue("box"))).serving
    files.key.write_bytes(key)
    assert (await health(server, authority.pem, authority.issue("box"))).serving


async def test_switched_off_by_name_anybody_is_served_and_the_log_says_so(capsys):
    server = await serve(Fleet(FakeDriver({})), TcpAddress("127.0.0.1", 0, None), "1")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert (await AgentStub(channel).Health(pb.HealthRequest(owner_id="anybody"))).serving
    await server.stop(None)
    assert "serving in the clear" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda files: files.key.unlink(), "a.key: No such file"),
        (
            lambda files: files.key.write_bytes(Authority().issue("x")[1]),
            "expected a PEM certificate and its key",
        ),
        (lambda files: files.certificate.write_text("no certificate"), "expected a PEM certificate"),
        (lambda files: files.authority.write_text("none"), "ca.crt: expected PEM certificates"),
    ],
)
async def test_files_that_are_no_good_are_told_at_the_start(files, spoil, text):
    spoil(files)
    with pytest.raises(ConfigError, match=text):
        await serve(Fleet(FakeDriver({})), TcpAddress("127.0.0.1", 0, files), "1")


async def test_a_port_in_use_is_told(server):
    with pytest.raises(ConfigError, match="cannot be listened on"):
        await serve(Fleet(FakeDriver({})), TcpAddress("127.0.0.1", server.port, None), "1")
