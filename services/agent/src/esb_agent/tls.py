"""Mutual TLS for the agent's port: its own certificate, whose clients may come, and who a client is.

The files are looked at again for every new connection, so that certificates are renewed without a restart.
Files that do not go together (one is being replaced) leave the old ones in use.
"""

import ssl
from pathlib import Path

import grpc
import structlog

from esb_agent.address import TlsFiles
from esb_agent.errors import ConfigError

log = structlog.get_logger()
NAME_KEYS = ("x509_common_name", "x509_subject_alternative_name")
Stamp = tuple[tuple[int, int, int], ...]


class Certificates:
    """What the files held when they were last found good."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._stamp: Stamp = ()
        self._complaint = ""

    def credentials(self) -> grpc.ServerCredentials:
        """For a port that only clients with a certificate of the authority may use.

        Raises:
            ConfigError: a file is missing or is not what it should be.
        """
        return grpc.dynamic_ssl_server_credentials(
            self._load(),
            self._changed,  # type: ignore[arg-type]  # gRPC documents None; its type stubs don't know
            require_client_authentication=True,
        )

    def _load(self) -> grpc.ServerCertificateConfiguration:
        files = self._files
        stamp = self._look()
        try:
            check_files(files)
            configuration = grpc.ssl_server_certificate_configuration(
                [(files.key.read_bytes(), files.certificate.read_bytes())], files.authority.read_bytes()
            )
        except OSError as error:
            raise ConfigError(f"ESB_AGENT_TLS_*: {error.filename}: {error.strerror}") from error
        if self._look() != stamp:
            raise ConfigError("ESB_AGENT_TLS_*: the files changed while they were read")
        self._stamp = stamp
        return configuration

    def _look(self) -> Stamp:
        return tuple(
            _stamp(path) for path in (self._files.certificate, self._files.key, self._files.authority)
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC before each handshake, in a thread of its own; None: as before."""
        if self._look() == self._stamp:
            return None
        try:
            configuration = self._load()
        except ConfigError as error:
            if str(error) != self._complaint:
                log.error("changed certificates cannot be used; the old ones stay", error=str(error))  # noqa: TRY400 - it says it all
            self._complaint = str(error)
            return None
        log.info("certificates loaded again", certificate=str(self._files.certificate))
        self._complaint = ""
        return configuration


def check_files(files: TlsFiles) -> None:
    """Raises ConfigError unless the three are PEM, and certificate and key belong together."""
    for path in (files.certificate, files.key, files.authority):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(f"ESB_AGENT_TLS_*: {path}: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An encrypted key would be asked for at the terminal otherwise.
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(
            f"ESB_AGENT_TLS_CERT, ESB_AGENT_TLS_KEY: {files.certificate} and {files.key}: "
            f"expected a PEM certificate and its key without a passphrase: {error}"
        ) from error
    try:
        context.load_verify_locations(files.authority)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"ESB_AGENT_TLS_CA: {files.authority}: expected PEM certificates: {error}"
        ) from error


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def client_names(context: grpc.aio.ServicerContext) -> frozenset[str]:  # type: ignore[type-arg]  # of any method
    """Common name and alternative names of the client's certificate."""
    known = context.auth_context()
    return frozenset(name.decode("utf-8", "replace") for key in NAME_KEYS for name in known.get(key, ()))
