"""How else a function is called: its own URL, and what becomes of its events (asynchronous calls)."""

from artifact_contract.config_sections import function_of
from artifact_contract.config_types import AsyncInvoke, FunctionUrl
from artifact_contract.nodes import quote

from esb_cli.sam.cors import url_cors
from esb_cli.sam.properties import Properties
from esb_cli.sam.values import Text, Unknown, describe

__all__ = ["async_invoke_of", "function_url_of"]

_STORE = "events given up go to the box's dead-letter store"


def function_url_of(props: Properties) -> FunctionUrl | None:
    """What `FunctionUrlConfig` says."""
    config = props.child("FunctionUrlConfig")
    if config is None:
        return None
    auth_type = config.required_text("AuthType", "AWS_IAM or NONE")
    url = FunctionUrl(
        _one_of(config, "AuthType", auth_type, ("AWS_IAM", "NONE")),
        _one_of(config, "InvokeMode", config.text("InvokeMode"), ("BUFFERED", "RESPONSE_STREAM")),
        url_cors(config),
    )
    config.finish("FunctionUrlConfig")
    return url


def _one_of(config: Properties, name: str, text: Text | None, choices: tuple[str, str]) -> str:
    """The text, when it is one of two; the first one for none."""
    if text is not None and text.text not in choices:
        config.wrong(name, " or ".join(choices), quote(text.text), at=text)
    return choices[0] if text is None else text.text


def async_invoke_of(props: Properties) -> AsyncInvoke | None:
    """What `EventInvokeConfig` says of keeping, retrying and giving up events."""
    config = props.child("EventInvokeConfig")
    if config is None:
        return None
    found = AsyncInvoke(
        config.integer("MaximumEventAgeInSeconds", 60, 21600, " seconds"),
        config.integer("MaximumRetryAttempts", 0, 2),
        _on_failure(config),
    )
    config.finish("EventInvokeConfig")
    return None if found == AsyncInvoke() else found


def _on_failure(config: Properties) -> str:
    destinations = config.child("DestinationConfig")
    if destinations is None:
        return ""
    failure = destinations.child("OnFailure")
    destinations.finish("DestinationConfig")
    if failure is None:
        return ""
    sort = failure.text("Type")
    value = failure.value("Destination")
    if sort is not None and sort.text != "Lambda":
        config.lose(f"its on-failure destination of type {sort.text}: {_STORE}", sort)
    elif isinstance(value, Text) and value.text.startswith("arn:") and (name := function_of(value.text)):
        return name
    elif isinstance(value, Unknown):
        if not value.reported:
            config.lose(f"its on-failure destination: {_STORE} ({value.reason})", value)
    else:
        failure.wrong("Destination", "the ARN of a function", describe(value), at=value)
    return ""
