"""What calls a function: routes of Api and HttpApi events, schedules; any other event is a finding."""

import json
import re

from artifact_contract.config_sections import SCHEDULE_NAME, TIME_ZONE
from artifact_contract.config_types import RouteAuth
from artifact_contract.nodes import quote
from attrs import define, field

from esb_cli.sam.access import Guard, guard_of
from esb_cli.sam.apis import IMPLICIT, RouteBook
from esb_cli.sam.properties import Properties, is_nothing, of_fields
from esb_cli.sam.values import Fields, Items, Text, Unknown, describe
from esb_cli.spec_model import RouteSpec, ScheduleSpec

__all__ = ["Events", "read_events"]

_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "ANY"})
_ANY = "X-AMAZON-APIGATEWAY-ANY-METHOD"
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
        schedule = _schedule(kind, below, found)
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
    name = _api(event, "ApiId" if http else "RestApiId", kind)
    version = _payload_version(event) if http else "1.0"
    api = None if name is None else book.api(name)
    path, method = _address(event, http=http)
    guard = Guard() if api is None else guard_of(event, api.access, method, http=http)
    event.skip("Auth")
    if name is None or api is None or not path:
        return None
    auth = guard.auth
    if guard.refused:
        event.lose(f"the route {method} {path} is closed to everybody: {guard.refused}", event.at("Auth"))
        auth = RouteAuth("closed")
    route = RouteSpec(path, method, version, "http" if http else "rest", api.stage, auth, api.cors)
    return route if book.claim(route, name, event) else None


def _address(event: Properties, *, http: bool) -> tuple[str, str]:
    """Path and method; no path when they are wrong, which is reported."""
    if http and "Path" not in event and "Method" not in event:
        return "$default", "ANY"
    path = event.required_text("Path", "a path that begins with /")
    method = event.required_text("Method", "an HTTP method")
    if path is None or method is None or not _fits(path, method, event):
        return "", ""
    return path.text, "ANY" if method.text.upper() == _ANY else method.text.upper()


def _fits(path: Text, method: Text, event: Properties) -> bool:
    allowed = _METHODS | {_ANY}
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


def _schedule(kind: str, event: Properties, found: Events) -> ScheduleSpec | None:
    key = "Schedule" if kind == "Schedule" else "ScheduleExpression"
    expression = event.required_text(key, "rate(...) or cron(...)")
    enabled = _enabled(event)
    data = _input(event)
    name = _name(event, found)
    zone = _zone(event) if kind == "ScheduleV2" else ""
    if expression is None or (kind == "ScheduleV2" and not _same_as_rule(event, expression)):
        return None
    rate = _RATE.match(expression.text)
    if rate is not None and (rate[1] == "1") == bool(rate[3]):
        hint = f"write {'day, hour or minute' if rate[1] == '1' else 'days, hours or minutes'}"
        event.wrong(key, "rate(1 minute) or rate(5 minutes)", quote(expression.text), hint, at=expression)
    elif rate is None and not _CRON.match(expression.text):
        event.wrong(key, "rate(5 minutes) or cron(0 12 * * ? *)", quote(expression.text), at=expression)
    else:
        return ScheduleSpec(expression.text, data, enabled, zone, name)
    return None


def _same_as_rule(event: Properties, expression: Text) -> bool:
    """Whether a ScheduleV2 means what a Schedule means; else it is left out, which is reported."""
    limits = [name for name in ("StartDate", "EndDate") if name in event]
    event.skip("StartDate", "EndDate")
    if expression.text.startswith("at("):
        event.lose("a schedule that runs once isn't supported in this version", expression)
    elif limits:
        event.lose(
            f"the schedule is left out: {limits[0]} isn't supported in this version", event.at(limits[0])
        )
    else:
        return True
    return False


def _zone(event: Properties) -> str:
    zone = event.text("ScheduleExpressionTimezone", "the name of a time zone")
    if zone is None or zone.text in _UTC:
        return ""
    if not TIME_ZONE.fullmatch(zone.text):
        expected = "the name of a time zone, as Europe/Berlin"
        event.wrong("ScheduleExpressionTimezone", expected, quote(zone.text), at=zone)
    return zone.text


def _name(event: Properties, found: Events) -> str:
    """The name of a schedule; none where it isn't known, as it then has no effect on a box."""
    name = event.value("Name")
    if not isinstance(name, Text) or is_nothing(name):
        return ""
    if not SCHEDULE_NAME.fullmatch(name.text):
        event.wrong("Name", "up to 64 letters, digits, ., - and _", quote(name.text), at=name)
    elif any(name.text == other.name for other in found.schedules):
        event.wrong("Name", "a name that no other schedule of the function has", quote(name.text), at=name)
    return name.text


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
