"""What calls a function: routes of Api and HttpApi events, schedules; any other event is a finding."""

import json
import re

from artifact_contract.nodes import quote
from attrs import define, field

from esb_cli.sam.apis import IMPLICIT, RouteBook
from esb_cli.sam.properties import Properties, of_fields
from esb_cli.sam.values import Fields, Items, Text, Unknown, describe
from esb_cli.spec_model import RouteSpec, ScheduleSpec

__all__ = ["Events", "read_events"]

_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "ANY"})
_PATH = re.compile(r"(/([^{}/\s]+|\{[\w.:$-]+\}))*(/|/\{[\w.:$-]+\+\})?\Z")
_RATE = re.compile(r"rate\(\s*([1-9][0-9]{0,8})\s+(minute|hour|day)(s?)\s*\)\Z")
_CRON = re.compile(r"cron\(\s*\S+(\s+\S+){5}\s*\)\Z")
_UTC = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT"})


@define
class Events:
    """What the events of one function come to."""

    routes: list[RouteSpec] = field(factory=list)
    schedules: list[ScheduleSpec] = field(factory=list)


def read_events(props: Properties, book: RouteBook) -> Events:
    """The routes and schedules of a function."""
    found = Events()
    events = props.child("Events")
    for name in events.names() if events is not None else ():
        event = None if events is None else _event(name, events)
        kind = None if event is None else event.required_text("Type", "the type of an event")
        if event is not None and kind is not None:
            _read(kind.text, event, book, found)
            event.finish("Event")
    return found


def _event(name: str, events: Properties) -> Properties | None:
    value = events.value(name)
    if isinstance(value, Fields):
        return of_fields(value, events.where(name), events, f"event {name}: ")
    if not isinstance(value, Unknown):
        events.wrong(name, "an event, with its Type", "nothing" if value is None else describe(value))
    elif not value.reported:
        events.lose(f"event {name}: {value.reason}", value)
    return None


def _read(kind: str, event: Properties, book: RouteBook, found: Events) -> None:
    below = _below(event)
    if kind in {"Api", "HttpApi"}:
        route = _route(kind, below, book)
        found.routes += [route] if route else []
    elif kind in {"Schedule", "ScheduleV2"}:
        schedule = _schedule(kind, below)
        found.schedules += [schedule] if schedule else []
    else:
        event.skip("Properties")
        event.lose(f"{kind} events aren't supported in this version")
        return
    below.finish(f"{kind} event")


def _below(event: Properties) -> Properties:
    none = Fields({}, event.spot.line, event.spot.column)
    return event.child("Properties") or of_fields(none, event.where("Properties"), event)


def _route(kind: str, event: Properties, book: RouteBook) -> RouteSpec | None:
    http = kind == "HttpApi"
    api = _api(event, "ApiId" if http else "RestApiId", kind)
    version = _payload_version(event) if http else "1.0"
    _drop_open_auth(event)
    if http and "Path" not in event and "Method" not in event:
        route = RouteSpec("$default", "ANY", version)
    else:
        path = event.required_text("Path", "a path that begins with /")
        method = event.required_text("Method", "an HTTP method")
        if path is None or method is None or not _fits(path, method, event):
            return None
        route = RouteSpec(path.text, method.text.upper(), version)
    return route if api is not None and book.claim(route, api, event) else None


def _fits(path: Text, method: Text, event: Properties) -> bool:
    allowed = _METHODS | {"X-AMAZON-APIGATEWAY-ANY-METHOD"}
    if method.text.upper() not in allowed:
        event.wrong("Method", f"one of {', '.join(sorted(_METHODS))}", quote(method.text), at=method)
    elif path.text != "$default" and not (path.text and _PATH.match(path.text)):
        expected = "a path such as /orders/{id} or /files/{name+}"
        event.wrong("Path", expected, quote(path.text), "{name+} only at the end", at=path)
    else:
        return True
    return False


def _api(event: Properties, name: str, kind: str) -> str | None:
    """The API of a route: the implicit one, or that of the template which the event names."""
    value = event.value(name)
    if value is None:
        return "ServerlessHttpApi" if kind == "HttpApi" else "ServerlessRestApi"
    if isinstance(value, Fields | Items):
        event.wrong(name, "a reference to an API", describe(value), at=value)
        return None
    api = value.text if isinstance(value, Text) else value.resource  # SAM takes the bare logical id as well
    resource = event.resolution.references.resources.get(api)
    if f"AWS::Serverless::{kind}" == (IMPLICIT.get(api) if resource is None else resource.type):
        return api
    if isinstance(value, Text) or not value.reported:
        found = quote(api) if api else describe(value)
        lost = f"its route: its API is no AWS::Serverless::{kind} of the template, but {found}"
        event.lose(lost, event.at(name))
    return None


def _payload_version(event: Properties) -> str:
    text = event.text("PayloadFormatVersion")
    if text is None or text.text in {"1.0", "2.0"}:
        return "2.0" if text is None else text.text
    event.wrong("PayloadFormatVersion", "1.0 or 2.0", quote(text.text), at=text)
    return "2.0"


def _drop_open_auth(event: Properties) -> None:
    """An event that says it needs no authorizer loses none."""
    value = event.value("Auth") if "Auth" in event else None
    if "Auth" in event and not (isinstance(value, Fields) and _is_open(value)):
        event.lose("its authorization: everyone who reaches the gateway may call it", event.at("Auth"))


def _is_open(auth: Fields) -> bool:
    authorizer = auth.items.get("Authorizer")
    return set(auth.items) <= {"Authorizer", "InvokeRole"} and (
        authorizer is None or (isinstance(authorizer, Text) and authorizer.text == "NONE")
    )


def _schedule(kind: str, event: Properties) -> ScheduleSpec | None:
    key = "Schedule" if kind == "Schedule" else "ScheduleExpression"
    expression = event.required_text(key, "rate(...) or cron(...)")
    enabled = _enabled(event)
    data = _input(event)
    if expression is None or (kind == "ScheduleV2" and not _same_as_rule(event, expression)):
        return None
    rate = _RATE.match(expression.text)
    if rate is not None and (rate[1] == "1") == bool(rate[3]):
        hint = f"write {'day, hour or minute' if rate[1] == '1' else 'days, hours or minutes'}"
        event.wrong(key, "rate(1 minute) or rate(5 minutes)", quote(expression.text), hint, at=expression)
    elif rate is None and not _CRON.match(expression.text):
        event.wrong(key, "rate(5 minutes) or cron(0 12 * * ? *)", quote(expression.text), at=expression)
    else:
        return ScheduleSpec(expression.text, data, enabled)
    return None


def _same_as_rule(event: Properties, expression: Text) -> bool:
    """Whether a ScheduleV2 means what a Schedule means; else it is left out, which is reported."""
    zone = event.text("ScheduleExpressionTimezone")
    limits = [name for name in ("StartDate", "EndDate") if name in event]
    event.skip("StartDate", "EndDate")
    if expression.text.startswith("at("):
        event.lose("a schedule that runs once isn't supported in this version", expression)
    elif zone is not None and zone.text not in _UTC:
        event.lose(
            f"the schedule is left out: its time zone {zone.text} isn't supported in this version", zone
        )
    elif limits:
        event.lose(
            f"the schedule is left out: {limits[0]} isn't supported in this version", event.at(limits[0])
        )
    else:
        return True
    return False


def _enabled(event: Properties) -> bool:
    enabled = event.flag("Enabled", default=True)
    state = event.text("State")
    if state is None:
        return enabled
    if "Enabled" in event:
        event.wrong("State", "either State or Enabled", "both", at=state)
    if state.text not in {"ENABLED", "DISABLED"}:
        event.wrong("State", "ENABLED or DISABLED", quote(state.text), at=state)
    return state.text == "ENABLED"


def _input(event: Properties) -> str | None:
    text = event.text("Input", "JSON text")
    if text is None:
        return None
    try:
        json.loads(text.text)
    except (ValueError, RecursionError) as error:
        event.wrong("Input", "JSON text", f"{quote(text.text)} ({error})", at=text)
    return text.text
