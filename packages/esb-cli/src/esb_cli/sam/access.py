"""Who may call a route: the authorizers of its API and what its event says, as a guard that a box has.

A route whose guard a box doesn't have is closed to everybody, with a finding: it never becomes an open one,
and no wider route takes its requests. Where AWS asks for a token of a user pool that a box can't know, a box
asks for one of its own.
"""

from collections.abc import Mapping as AnyMapping

from artifact_contract.config_types import RouteAuth
from artifact_contract.nodes import Mapping, Node, Sequence, quote
from attrs import evolve, field, frozen

from esb_cli.sam.properties import Properties
from esb_cli.sam.values import Items, Text, Unknown, Value, describe

__all__ = ["ApiAccess", "Guard", "guard_of", "read_access"]

_HEADER = "$request.header.authorization"
_POLICY = "a box has no resource policies"
_DOCUMENT = "its API's OpenAPI document names guards, which a box doesn't read"
_NAMED_BY_AWS = ("NONE", "AWS_IAM")
_IN_DOCUMENTS = frozenset(
    ("security", "securityDefinitions", "securitySchemes", "x-amazon-apigateway-policy")
)


@frozen
class Guard:
    """What guards a route on a box, None: nothing has to; `refused` says why it can't be guarded."""

    auth: RouteAuth | None = None
    refused: str = ""


@frozen
class ApiAccess:
    """What an API says about access to its routes: its authorizers by name, and what holds by default."""

    authorizers: AnyMapping[str, Guard] = field(factory=dict)
    default: str = ""
    needs_key: bool = False
    refused: str = ""


def read_access(api: Properties, *, http: bool) -> ApiAccess:
    """What the `Auth` of an API, a REST API's `Policy` and guards in an OpenAPI document say."""
    auth = api.child("Auth")
    policy = "Policy" in api or (auth is not None and "ResourcePolicy" in auth)
    refused = _POLICY if policy and not http else ""
    document = api.unevaluated("DefinitionBody")
    if isinstance(document, Mapping) and _names_guards(document):
        refused = _DOCUMENT
    if auth is None:
        return ApiAccess(refused=refused)
    listed = auth.child("Authorizers")
    authorizers = {}
    for name in listed.names() if listed is not None else ():
        authorizer = None if listed is None else listed.child(name)
        if authorizer is not None:
            authorizers[name] = _http_authorizer(authorizer) if http else _rest_authorizer(authorizer)
    default = auth.text("DefaultAuthorizer")
    if default is not None and default.text not in (*authorizers, *_NAMED_BY_AWS):
        auth.wrong("DefaultAuthorizer", "one of its Authorizers", quote(default.text), at=default)
        refused = "its authorizer is wrong"
    needs_key = not http and auth.flag("ApiKeyRequired", default=False)
    auth.finish("HttpApi Auth" if http else "Api Auth")
    return ApiAccess(authorizers, default.text if default else "", needs_key, refused)


def _names_guards(document: Node) -> bool:
    if isinstance(document, Mapping):
        found = _IN_DOCUMENTS & document.items.keys()
        if any(not isinstance(it := document.items[name], Sequence) or it.items for name in found):
            return True
        return any(map(_names_guards, document.items.values()))
    return isinstance(document, Sequence) and any(map(_names_guards, document.items))


def _rest_authorizer(props: Properties) -> Guard:
    if "UserPoolArn" not in props:
        return _lambda_authorizer(props)
    props.skip("UserPoolArn")
    props.lose("its user pool: a token of the box's own login is asked for instead", props.at("UserPoolArn"))
    scopes = _texts(props, "AuthorizationScopes")
    props.finish("Authorizer")
    if isinstance(scopes, str):
        return Guard(refused=scopes)
    return Guard(RouteAuth("jwt", scopes=scopes))


def _http_authorizer(props: Properties) -> Guard:
    jwt = props.child("JwtConfiguration")
    if jwt is None:
        return _lambda_authorizer(props)
    source = props.value("IdentitySource")
    if isinstance(source, Text) and source.text.lower() != _HEADER:
        props.lose("where its token stands: the gateway takes it from the header Authorization", source)
    scopes = _texts(props, "AuthorizationScopes")
    props.finish("Authorizer")
    return _jwt(jwt, scopes)


def _jwt(jwt: Properties, scopes: tuple[str, ...] | str) -> Guard:
    issuer, audience = jwt.value("issuer"), _texts(jwt, "audience")
    jwt.finish("JwtConfiguration")
    if isinstance(scopes, str):
        return Guard(refused=scopes)
    if isinstance(issuer, Unknown):
        if not issuer.reported:
            lost = f"its issuer: a token of the box's own login is asked for instead ({issuer.reason})"
            jwt.lose(lost, issuer)
        return Guard(RouteAuth("jwt", scopes=scopes))
    if not isinstance(issuer, Text) or not issuer.text:
        jwt.wrong("issuer", "the URL of an issuer", describe(issuer), at=issuer)
        return Guard(refused="its issuer is wrong")
    if isinstance(audience, str):
        return Guard(refused=audience)
    if not audience:  # tokens for other clients of the issuer would open the route
        return Guard(refused="its authorizer names no audience")
    return Guard(RouteAuth("jwt", issuer.text, audience, scopes))


def _lambda_authorizer(props: Properties) -> Guard:
    props.skip(*props.names())
    return Guard(refused="a box has no Lambda authorizers")


def _texts(props: Properties, name: str) -> tuple[str, ...] | str:
    """A text or a list of texts; why it isn't known, as a text."""
    value = props.value(name)
    items: tuple[Value, ...] = value.items if isinstance(value, Items) else (value,) if value else ()
    found = []
    for item in items:
        if isinstance(item, Unknown):
            return f"its {name} isn't known ({item.reason})"
        if isinstance(item, Text) and item.text:
            found.append(item.text)
        else:
            props.wrong(name, "a list of texts", describe(item), at=item)
    return tuple(found)


def guard_of(event: Properties, access: ApiAccess, method: str, *, http: bool) -> Guard:
    """What guards the route of an event: what the event itself says, else what its API does."""
    own = event.child("Auth")
    if own is None:
        default = "" if http and method == "OPTIONS" else access.default  # SAM leaves preflights open
        return _guard(event, access, default, None, needs_key=access.needs_key)
    authorizer = own.text("Authorizer")
    scopes = _texts(own, "AuthorizationScopes") if "AuthorizationScopes" in own else None
    if http and scopes == ():
        scopes = None  # an empty list takes the authorizer's, unlike in a REST API
    needs_key = not http and own.flag("ApiKeyRequired", default=access.needs_key)
    if "ResourcePolicy" in own:
        own.skip("ResourcePolicy")
        access = evolve(access, refused=_POLICY)
    own.finish("HttpApi event Auth" if http else "Api event Auth")
    if authorizer is not None and authorizer.text not in (*access.authorizers, *_NAMED_BY_AWS):
        own.wrong("Authorizer", "an authorizer of the route's API", quote(authorizer.text), at=authorizer)
        return Guard(refused="its authorizer is wrong")
    name = authorizer.text if authorizer is not None else access.default
    return _guard(event, access, name, scopes, needs_key=needs_key)


def _guard(
    event: Properties, access: ApiAccess, name: str, scopes: tuple[str, ...] | str | None, *, needs_key: bool
) -> Guard:
    refused = access.refused or (scopes if isinstance(scopes, str) else "")
    if refused:
        return Guard(refused=refused)
    if name in {"", "NONE"}:
        return Guard(RouteAuth("api_key") if needs_key else None)
    found = access.authorizers.get(name, Guard(refused="a box has no IAM"))
    if found.auth is None:
        return found
    if needs_key:
        event.lose("its API key: a token alone opens the route", event.at("Auth"))
    return Guard(evolve(found.auth, scopes=scopes)) if isinstance(scopes, tuple) else found
