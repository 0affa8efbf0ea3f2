"""CORS of APIs and function URLs: what other origins' pages may do.

REST APIs have it as texts in two sorts of quotes (`"'GET,POST'"`), the others as lists. Origins that aren't
known when rendering leave CORS out as a whole; anything else that isn't known just isn't allowed.
"""

import re

from artifact_contract.config_sections import CORS_WORD
from artifact_contract.config_types import Cors
from artifact_contract.nodes import quote

from esb_cli.sam.properties import Properties, is_nothing, of_fields
from esb_cli.sam.values import Fields, Items, Text, Unknown, Value, describe, is_boolean

__all__ = ["http_cors", "rest_cors", "url_cors"]

_LOST = "the answers to CORS preflight requests"
_ALL = ("*",)


def rest_cors(api: Properties) -> Cors | None:
    """The `Cors` of a REST API: an origin, or a mapping; SAM allows every origin when it names none."""
    value = _known(api, "Cors", _LOST)
    if isinstance(value, Text) and not is_boolean(value) and not is_nothing(value):
        origins = _words(api, "Cors", value)
        return Cors(allow_origins=origins) if origins else None
    if not isinstance(value, Fields):
        _refuse(api, "Cors", "an origin, or a mapping", value)
        return None
    props = of_fields(value, api.where("Cors"), api)
    origins = _ALL
    if "AllowOrigin" in props:
        origins = _words(props, "AllowOrigin", _known(props, "AllowOrigin", _LOST))
    return _cors(props, origins)


def http_cors(api: Properties) -> Cors | None:
    """The `CorsConfiguration` of an HTTP API: `true`, or a mapping."""
    value = _known(api, "CorsConfiguration", _LOST)
    said = value.as_string.lower() if isinstance(value, Text) else ""
    if said in {"true", "false"}:
        return Cors(allow_origins=_ALL) if said == "true" else None
    if not isinstance(value, Fields):
        _refuse(api, "CorsConfiguration", "true, or a mapping", value)
        return None
    props = of_fields(value, api.where("CorsConfiguration"), api)
    return _cors(props, _words(props, "AllowOrigins", _known(props, "AllowOrigins", _LOST)))


def url_cors(config: Properties) -> Cors | None:
    """The `Cors` of a function URL; it may allow credentials to every origin."""
    value = _known(config, "Cors", _LOST)
    if not isinstance(value, Fields):
        _refuse(config, "Cors", "a mapping", value)
        return None
    props = of_fields(value, config.where("Cors"), config)
    origins = _words(props, "AllowOrigins", _known(props, "AllowOrigins", _LOST))
    return _cors(props, origins, any_with_credentials=True)


def _refuse(props: Properties, name: str, expected: str, value: Value | None) -> None:
    if value is not None and not is_nothing(value):
        props.wrong(name, expected, describe(value), at=value)


def _known(props: Properties, name: str, lost: str) -> Value | None:
    value = props.value(name)
    if not isinstance(value, Unknown):
        return value
    if not value.reported:
        props.lose(f"{lost}: {value.reason}", value)
    return None


def _cors(props: Properties, origins: tuple[str, ...], *, any_with_credentials: bool = False) -> Cors | None:
    cors = Cors(
        origins,
        tuple(method.upper() for method in _more_words(props, "AllowMethods")),
        _more_words(props, "AllowHeaders"),
        _more_words(props, "ExposeHeaders"),
        _credentials(props),
        _max_age(props),
    )
    if cors.allow_credentials and "*" in origins and not any_with_credentials:
        props.wrong("AllowCredentials", "false while every origin is allowed", "true")
    props.finish("Cors")
    return cors if origins else None


def _more_words(props: Properties, name: str) -> tuple[str, ...]:
    return _words(props, name, _known(props, name, f"its CORS {name}"))


def _words(props: Properties, name: str, value: Value | None) -> tuple[str, ...]:
    """The words of a list, or of a text with commas, with or without the quotes that REST APIs need."""
    found: list[str] = []
    for item in value.items if isinstance(value, Items) else (value,):
        if item is None or is_nothing(item):
            continue  # a null is no origin of that name
        if isinstance(item, Text):
            found += [it for word in _unquoted(item).split(",") if (it := word.strip())]
        else:
            props.wrong(name, "text, or a list of texts", describe(item), at=item)
    for word in found:
        if not CORS_WORD.fullmatch(word):
            props.wrong(name, "a word without blanks", quote(word))
    return tuple(found)


def _unquoted(text: Text) -> str:
    stripped = text.as_string.strip()
    quoted = re.fullmatch(r"'(.*)'", stripped, re.DOTALL)
    return quoted[1] if quoted else stripped


def _credentials(props: Properties) -> bool:
    value = _known(props, "AllowCredentials", "its CORS AllowCredentials")
    if value is None:
        return False
    text = _unquoted(value).lower() if isinstance(value, Text) else ""
    if text not in {"true", "false"}:
        props.wrong("AllowCredentials", "true or false", describe(value), at=value)
    return text == "true"


def _max_age(props: Properties) -> int | None:
    value = _known(props, "MaxAge", "its CORS MaxAge")
    if value is None:
        return None
    text = _unquoted(value) if isinstance(value, Text) else ""
    if not re.fullmatch(r"-1|[0-9]{1,9}", text):
        props.wrong("MaxAge", "a number of seconds", describe(value), at=value)
        return None
    return max(int(text), 0)  # -1 says what 0 does: keep nothing
