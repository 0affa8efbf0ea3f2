"""Certificates of a box whose agent listens on TCP: its own authority, and one for agent and gateway each.

    init       authority ─▶ agent.crt, gateway.crt
    renew      the same names, new keys, from the same authority
    renew --ca a new authority in front of the old one in ca.crt: both are trusted while sides change over

What the files are for, and how they are renewed without a restart, is in docs/agent-tls.md.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from esb_node.errors import NodeError
from esb_node.files import make_private, write_private

CA, AGENT, GATEWAY = "ca", "agent", "gateway"
CA_DAYS = 3650
# Clocks of two machines differ.
_BACK = timedelta(hours=1)
_PURPOSE = {AGENT: ExtendedKeyUsageOID.SERVER_AUTH, GATEWAY: ExtendedKeyUsageOID.CLIENT_AUTH}
_AGENT_NAME = "esb-agent"


class CertsError(NodeError):
    """The directory's certificates can't be made, renewed or read; the text says which and why."""


@frozen
class Described:
    """One certificate for people; `names` are all it may be known by, times in UTC."""

    file: str
    use: str
    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    fingerprint: str


@frozen
class _Period:
    now: datetime
    days: int


@frozen
class _Identity:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def init_certs(
    directory: Path, *, agent_names: Iterable[str], owner: str, days: int, now: datetime
) -> list[Described]:
    """Make the authority and both certificates; refuses to replace any.

    Raises:
        CertsError: there are some already, or a name is not one.
        OSError: they can't be written.
    """
    taken = [path.name for kind in (CA, AGENT, GATEWAY) for path in _files(directory, kind) if path.exists()]
    if taken:
        raise CertsError(
            f"{directory}: has {', '.join(taken)} already; `esb-node certs renew` makes new ones"
        )
    period = _Period(now, days)
    authority = _new_authority(now)
    agent = _issue(authority, AGENT, _AGENT_NAME, tuple(agent_names), period)
    gateway = _issue(authority, GATEWAY, owner, (owner,), period)
    # All names are good: nothing half-made stays behind.
    make_private(directory)
    for kind, identity in ((CA, authority), (AGENT, agent), (GATEWAY, gateway)):
        _write(directory, kind, identity)
    return describe_certs(directory)


def renew_certs(directory: Path, *, days: int, now: datetime, authority: bool = False) -> list[Described]:
    """New keys and certificates for the same names.

    With `authority` from a new authority, the old one stays trusted; without, older ones are dropped.

    Raises:
        CertsError: there are none, or the authority has expired.
        OSError: they can't be read or written.
    """
    current = _read_certificates(directory, CA)
    signer = _new_authority(now) if authority else _Identity(current[0], _read_key(directory, current[0]))
    if signer.certificate.not_valid_after_utc <= now:
        raise CertsError(
            f"{directory / 'ca.crt'}: has expired; `esb-node certs renew --ca` makes another one"
        )
    held = {kind: _read_certificates(directory, kind)[0] for kind in (AGENT, GATEWAY)}
    period = _Period(now, days)
    # The authority first: whoever sees a new certificate must trust it already.
    _write(directory, CA, signer, [signer.certificate, *(current if authority else [])])
    for kind, certificate in held.items():
        _write(directory, kind, _issue(signer, kind, _common_name(certificate), _names(certificate), period))
    return describe_certs(directory)


def describe_certs(directory: Path) -> list[Described]:
    """All certificates of the directory, authorities first.

    Raises:
        CertsError: one is missing or can't be read.
    """
    uses = {CA: "authority", AGENT: "agent, server", GATEWAY: "gateway, client"}
    return [
        Described(
            file=f"{kind}.crt",
            use=use,
            names=_names(certificate) or (_common_name(certificate),),
            begins=certificate.not_valid_before_utc,
            ends=certificate.not_valid_after_utc,
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        )
        for kind, use in uses.items()
        for certificate in _read_certificates(directory, kind)
    ]


def _new_authority(now: datetime) -> _Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    # Never the name of an owner: a certificate whose subject is its issuer's counts as self-signed.
    name = _subject(f"esb box authority {secrets.token_hex(4)}")
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        _builder(name, name, key, now, now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return _Identity(builder.sign(key, hashes.SHA256()), key)


def _issue(authority: _Identity, kind: str, name: str, names: tuple[str, ...], period: _Period) -> _Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    ends = min(period.now + timedelta(days=period.days), issuer.not_valid_after_utc)
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    try:
        builder = (
            _builder(_subject(name), issuer.subject, key, period.now, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
            .add_extension(x509.ExtendedKeyUsage([_PURPOSE[kind]]), critical=False)
            .add_extension(issuer_key, critical=False)
        )
    except ValueError as error:
        raise CertsError(f"{name}, {', '.join(names)}: not names a certificate can have: {error}") from error
    return _Identity(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    except ValueError as error:
        raise CertsError(f"{name!r}: not a name a certificate can have: {error}") from error


def _general_names(names: tuple[str, ...]) -> list[x509.GeneralName]:
    return [x509.IPAddress(address) if (address := _ip(name)) else x509.DNSName(name) for name in names]


def _ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in found)


def _files(directory: Path, kind: str) -> tuple[Path, Path]:
    return directory / f"{kind}.crt", directory / f"{kind}.key"


def _write(
    directory: Path, kind: str, identity: _Identity, chain: Iterable[x509.Certificate] | None = None
) -> None:
    certificate, key = _files(directory, kind)
    encoding = serialization.Encoding.PEM
    text = identity.key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(key, text.decode())
    held = chain or [identity.certificate]
    write_private(certificate, "".join(one.public_bytes(encoding).decode() for one in held))


def _read_certificates(directory: Path, kind: str) -> list[x509.Certificate]:
    path, _ = _files(directory, kind)
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except FileNotFoundError:
        raise CertsError(f"{path}: is not there; `esb-node certs init` makes it") from None
    except ValueError as error:
        raise CertsError(f"{path}: expected a PEM certificate: {error}") from error


def _read_key(directory: Path, certificate: x509.Certificate) -> ec.EllipticCurvePrivateKey:
    _, path = _files(directory, CA)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        raise CertsError(
            f"{path}: is not there; without the authority's key nothing can be renewed"
        ) from None
    except (ValueError, TypeError) as error:
        raise CertsError(f"{path}: expected a PEM key without a passphrase: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertsError(f"{path}: expected an elliptic curve key")
    if key.public_key() != certificate.public_key():
        raise CertsError(
            f"{path}: is not the key of ca.crt; `esb-node certs renew --ca` makes another authority"
        )
    return key
