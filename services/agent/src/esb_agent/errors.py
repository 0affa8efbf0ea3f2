"""What an agent refuses, and why. `service.py` holds the one table from these to gRPC statuses."""


class AgentError(Exception):
    """A call was refused; the text is for the caller."""


class BadRequestError(AgentError):
    """A field is missing, out of range, or asks for what this driver does not run."""


class NotOwnerError(AgentError):
    """The worker is another owner's."""


class ImageNotFoundError(AgentError):
    """No image of that reference."""


class ImageBrokenError(AgentError):
    """The image or its layout is not what its digests or its format say."""


class WorkerNotFoundError(AgentError):
    """No worker of that id."""


class WorkerConflictError(AgentError):
    """The id is in use by a worker made from another spec."""


class WorkerBusyError(AgentError):
    """The worker holds a call, or is still starting."""


class WorkerExitedError(AgentError):
    """The worker has exited."""


class InitFailedError(AgentError):
    """The function did not initialise; the text is the runtime's error JSON."""


class StoppingError(AgentError):
    """The agent is stopping."""


class DriverError(AgentError):
    """The world failed the driver: no process, no port, no disk."""


class ConfigError(Exception):
    """The agent cannot start as it is configured; the text is one line for the operator."""
