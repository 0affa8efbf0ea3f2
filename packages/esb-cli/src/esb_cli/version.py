"""Which version this is; a constant, because asking the installed metadata costs more than most commands."""

__all__ = ["__version__"]

__version__ = "0.1.0"
