"""Where the command begins: Ctrl-C while its modules are being loaded ends it as any other Ctrl-C does."""

import sys

_INTERRUPTED = 130


def main() -> None:
    """Load the command and run it."""
    try:
        from esb_node.cli import main as run  # noqa: PLC0415 - loading it is what may be interrupted
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)
    run()
