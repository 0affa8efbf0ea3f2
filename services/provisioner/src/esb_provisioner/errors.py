"""What can go wrong outside the config: a store that says no, and a store that is not there yet.

What is wrong *in* the config is the contract's business: `artifact_contract.errors.ArtifactError`.
"""


class StoreError(Exception):
    """A store refused or failed; the text says what was asked and what it answered."""


class StoreUnreachableError(StoreError):
    """Nobody answered, or the answer was "not now": worth another try while the store starts."""


class EndpointError(Exception):
    """No usable endpoint is configured; without one a call would leave this machine for the public cloud."""
