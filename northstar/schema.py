"""The OpenAPI description: pydantic models as bodies, answers and queries; the same problem answers for every call."""

import re
from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from northstar.access import ANY_KEY
from northstar.modes import MODES
from routing.patterns import ENV_PATTERN, IDENTIFIER_PATTERN, TENANT_PATTERN

PROBLEMS: Final = {
    "400": "The request, its context or its body is not valid.",
    "401": "No API key, or one that is not valid.",
    "403": "The key, the tenant or the mode may not do this.",
    "404": "Not there, or not the caller's.",
    "405": "The address has no such method.",
    "409": "It exists already, or somebody else was faster.",
    "410": "The stream has no such place any more; `earliest` and `tail` say where to go on.",
    "412": "It has another version than expected.",
    "413": "Too large.",
    "416": "The range lies beyond the object's end.",
    "422": "An Idempotency-Key reused, or a checksum that does not match.",
    "423": "A strategy lock forbids it.",
    "429": "A quota or a rate is used up.",
    "500": "No route is configured, or something went wrong inside.",
    "501": "No driver serves this kind on this backend.",
    "502": "The backend refused.",
    "503": "The backend does not answer; Retry-After says when to come back.",
}

CONDITIONS: Final = {
    "If-Match": "The ETag that you have read: only that version is changed.",
    "If-None-Match": "`*`: only where nothing is yet.",
    "If-Unmodified-Since": "Only what has not changed since.",
}
IDEMPOTENCY: Final = "The same key with the same request answers the first answer again, for a day."

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "An error (RFC 9457): what happened, which thing, what to do.",
    "required": ["type", "title", "status", "detail", "error_code", "fix", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:northstar:error:NOT_FOUND"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, and to which thing."},
        "error_code": {"type": "string", "description": "Stable: branch on this."},
        "fix": {"type": "string", "description": "What to do; may be empty."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}

_ANY_CASE: Final = "|".join(re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", mode) for mode in MODES)

CONTEXT_HEADERS: Final = {
    "X-Env": ("Environment; `dev` when left out.", ENV_PATTERN),
    "X-Project-Id": ("Project; its own route comes before the tenant's.", IDENTIFIER_PATTERN),
    "X-App-Id": ("Application.", IDENTIFIER_PATTERN),
    "X-User-Id": ("The user on whose behalf the application acts.", IDENTIFIER_PATTERN),
    "X-Surface-Id": ("Surface, in any spelling of the alias table.", ".*[A-Za-z0-9].*"),
    "X-Tenant-Id": ("May repeat the key's tenant; an operator's key may name another.", TENANT_PATTERN),
    "X-Mode": (f"May repeat the tenant's mode, in any case: {', '.join(MODES)}.", _ANY_CASE),
    "X-Request-Id": ("Echoed in the answer and in every log line, when it can be.", ".*"),
}
"""What each header says, and the pattern of its whole value."""

EARLIER: Final = "earlier URLs"
TAGS: Final = {
    "context": "What was understood of a request: tenant, environment, mode, project, user, surface.",
    "streams": "Event streams: dense positions, appended in batches, followed live.",
    "tables": "Records with versions, and counters that keep to their bounds.",
    "memory": "Sessions and blackboards of a user or project; everything of a user exported or erased.",
    "metrics": "Values at their event time, listed, aggregated, the latest.",
    "objects": "Objects of any size, and presigned requests for them.",
    "media": "What sessions have made: objects with their facts, verified whenever they are read.",
    "contracts": "What campaign parameters must look like, per ad platform; URLs judged, templates made.",
    "records": "Analytics records: taken in once each, judged by gates, counted.",
    "attribution": "Conversions shared among the touches before them.",
    "budgets": "What may be used, what is used and held, at every level.",
    "rules": "Pipelines, rules and limits in revisions, read for a client on a day; batches, results, audit.",
    "routing": "Which backend keeps what: routes, locks, switches, the trail.",
    EARLIER: "The same calls at the addresses of earlier engines.",
}
"""The parts of the description, in the order in which they are shown."""

_PART_OF: Final = {
    **dict.fromkeys(("sessions", "blackboards", "users"), "memory"),
    **dict.fromkeys(("runs", "summary", "counters"), "records"),
    "presigned": "objects",
}


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a call is authenticated."""

    target_class = "northstar.access.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        return {"type": "http", "scheme": "bearer", "bearerFormat": "ns_<id>_<secret>"}

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]]:
        """Name the scope that the call needs, as OpenAPI 3.1 names roles."""
        scope = getattr(auto_schema.view, "scopes", {}).get(auto_schema.method)
        return {self.name: [] if scope in {None, ANY_KEY} else [scope]}


class Operation(AutoSchema):
    """One call. A body or an answer that its view does not describe is an object."""

    def get_request_serializer(self) -> Any:
        return OpenApiTypes.OBJECT

    def get_response_serializers(self) -> Any:
        return OpenApiTypes.OBJECT

    def get_override_parameters(self) -> list[Any]:
        """Return the headers that a write weighs, for views that do not describe them themselves."""
        weighed = getattr(self.view, "conditions", {}).get(self.method, ())
        found = [
            OpenApiParameter(name, str, OpenApiParameter.HEADER, description=CONDITIONS[name])
            for name in sorted(weighed)
        ]
        if self.method == "POST" and hasattr(self.view, "operation_id"):
            found.append(OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description=IDEMPOTENCY))
        return found

    def map_parsers(self) -> list[str]:
        return ["application/json"]  # the views read their bodies themselves, so REST Framework knows no parser

    def get_summary(self) -> str:
        """Return the first sentence of the description, or the part of it that can stand alone."""
        return re.split(r"[.:;](?:\s|$)", self.get_description(), maxsplit=1)[0]

    def get_tags(self) -> list[str]:
        if not self.path.startswith("/api/v1/"):
            return [EARLIER]
        parts = [part for part in self.path.split("/") if part not in {"api", "v1", "storage", "analytics"}]
        return [_PART_OF.get(name, name) for name in parts if name and not name.startswith("{")][:1]


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: ARG001
    """Give every call the problem answers, and the context's headers where a key is asked for."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    components["responses"] = {
        f"Problem{status}": {
            "description": text,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, text in PROBLEMS.items()
    }
    components["parameters"] = {
        name: {
            "name": name,
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": f"^(?:{pattern})$"},
            "description": text,
        }
        for name, (text, pattern) in CONTEXT_HEADERS.items()
    }
    result["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    for path in result["paths"].values():
        for operation in path.values():
            _complete_call(operation)
    return result


def _complete_call(operation: dict[str, Any]) -> None:
    parameters = operation.setdefault("parameters", [])
    if operation.setdefault("security", []):  # an empty list says that nothing is needed
        parameters += [{"$ref": f"#/components/parameters/{name}"} for name in CONTEXT_HEADERS]
    body = operation.get("requestBody", {})
    if "application/json" in body.get("content", {}):
        body["required"] = True
    for status in PROBLEMS:
        operation["responses"].setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})
