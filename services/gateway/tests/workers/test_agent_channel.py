"""The agent over TCP: whom the gateway trusts, what it shows, and what changes without a restart."""

import datetime
import ipaddress

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from esb_agent_api import agent_pb2, agent_pb2_grpc
from esb_gateway.workers.agent import AgentUnavailableError
from esb_gateway.workers.agent_channel import AgentTls
from esb_gateway.workers.agent_grpc import GrpcAgent

DAY = datetime.timedelta(days=1)


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
        self.pem, _ = self.issue(self.name, self.key, ca=True)

    def issue(self, subject, key=None, *, ca=False, ends=DAY):
        """(certificate, key), in PEM."""
        if isinstance(subject, str):
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        key = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
            made = made.add_extension(names, critical=False)
        signed = made.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM), pem(key)


class HealthyAgent(agent_pb2_grpc.AgentServicer):
    """Says as its version who asked."""

    async def Health(self, request, context):
        (name,) = context.auth_context().get("x509_common_name", [b"nobody"])
        return agent_pb2.HealthResponse(serving=True, driver=name.decode())


async def serve(credentials=None):
    server = grpc.aio.server()
    agent_pb2_grpc.add_AgentServicer_to_server(HealthyAgent(), server)
    if credentials:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"tcp:127.0.0.1:{port}"


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
async def address(authority):
    certificate, key = authority.issue("esb-agent")
    credentials = grpc.ssl_server_credentials([(key, certificate)], authority.pem, require_client_auth=True)
    server, found = await serve(credentials)
    yield found
    await server.stop(None)


@pytest.fixture
def tls(tmp_path, authority):
    made = AgentTls(certificate=tmp_path / "g.crt", key=tmp_path / "g.key", authority=tmp_path / "ca.crt")
    write(made, *authority.issue("box"), authority.pem)
    return made


def write(tls, certificate, key, authority):
    for path, data in zip(tls.files, (certificate, key, authority), strict=True):
        path.write_bytes(data)


@pytest.fixture
async def clients():
    made = []

    def client(address, tls):
        made.append(GrpcAgent(address, "box", tls))
        return made[-1]

    yield client
    for one in made:
        await one.close()


async def test_the_gateway_shows_its_certificate(address, tls, clients):
    assert (await clients(address, tls).health()).driver == "box"


async def test_an_agent_of_another_authority_is_not_trusted(address, tls, clients, authority):
    write(tls, *authority.issue("box"), Authority().pem)
    with pytest.raises(AgentUnavailableError):
        await clients(address, tls).health()


async def test_an_agent_that_lets_nobody_of_its_kind_in_is_unavailable(address, tls, clients, authority):
    write(tls, *Authority().issue("box"), authority.pem)
    with pytest.raises(AgentUnavailableError):
        await clients(address, tls).health()


async def test_an_agent_in_the_clear_is_not_asked_with_certificates(tls, clients):
    server, address = await serve()
    with pytest.raises(AgentUnavailableError):
        await clients(address, tls).health()
    await server.stop(None)


async def test_new_certificates_are_used_without_a_restart(address, tls, clients, authority):
    client = clients(address, tls)
    assert (await client.health()).driver == "box"
    write(tls, *authority.issue("box renewed"), authority.pem)
    assert (await client.health()).driver == "box renewed"


async def test_an_expired_certificate_can_be_replaced_without_a_restart(address, tls, clients, authority):
    write(tls, *authority.issue("box", ends=-DAY), authority.pem)
    client = clients(address, tls)
    with pytest.raises(AgentUnavailableError):
        await client.health()
    write(tls, *authority.issue("box"), authority.pem)
    assert (await client.health()).driver == "box"


async def test_files_that_do_not_go_together_leave_the_old_ones_in_use(address, tls, clients, authority):
    client = clients(address, tls)
    assert (await client.health()).driver == "box"
    certificate, key = authority.issue("box renewed")
    tls.certificate.write_bytes(certificate)
    assert (await client.health()).driver == "box"
    tls.key.unlink()
    assert (await client.health()).driver == "box"
    tls.key.write_bytes(key)
    assert (await client.health()).driver == "box renewed"


async def test_on_a_trusted_network_it_goes_in_the_clear(clients):
    server, address = await serve()
    assert (await clients(address, None).health()).driver == "nobody"
    await server.stop(None)
