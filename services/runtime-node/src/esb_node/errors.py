"""What keeps a box from coming up or going down; each text says what can be done about it."""


class NodeError(Exception):
    """The world failed: exit code 4 (contract §12)."""


class BoxRunningError(NodeError):
    """The state directory has its box already; the text says who runs it."""


class PortInUseError(NodeError):
    """A port that was asked for is taken."""


class MissingPartsError(NodeError):
    """Parts of the embedded box are not installed."""


class StartError(NodeError):
    """A service ended or did not answer while the box was starting; the text has its last log lines."""
