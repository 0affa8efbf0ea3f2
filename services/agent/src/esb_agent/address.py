"""Where an agent listens: a unix socket of its user's, or TCP with mutual TLS."""

from pathlib import Path

from attrs import frozen


@frozen(kw_only=True)
class TlsFiles:
    """PEM files: the agent's certificate (chain) and key, and the authorities whose clients it lets in."""

    certificate: Path
    key: Path
    authority: Path


@frozen
class UnixAddress:
    """A socket of mode 0600 at this path."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@frozen
class TcpAddress:
    """`host` as given, IPv6 in brackets; `tls` None: in the clear, for a trusted network only."""

    host: str
    port: int
    tls: TlsFiles | None

    def __str__(self) -> str:
        return f"tcp:{self.host}:{self.port}"


Address = UnixAddress | TcpAddress
