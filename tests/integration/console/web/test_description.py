"""The API's description: valid, whole, stable, and its examples true to its own schemas."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from console.web.identity.route_permissions import ROUTES
from tests.integration.console.web.platform import Platform, running_platform
from unmask.errors import ReasonCode
from unmask.verdict import Verdict

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict]
) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("description"), make_verdict) as found:
        yield found


@pytest.fixture(scope="module")
def described(platform: Platform) -> dict[str, Any]:
    found: dict[str, Any] = platform.client.get("/openapi.json").json()
    return found


def _operations(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in described["paths"].values():
        yield from operations.values()


def test_it_validates_as_a_file_of_its_own(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(described).validate()
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(described)))
    assert references and all(r.startswith("#/components/schemas/") for r in references)
    assert "#/components/schemas/Verdict" in references


def test_every_address_of_the_api_is_in_it_with_a_stable_id(described: dict[str, Any]) -> None:
    listed = {
        (method.upper(), path)
        for path, operations in described["paths"].items()
        for method in operations
    }
    assert listed == {(m, p) for m, p in ROUTES if p.startswith(("/v1", "/health/"))}
    ids = [operation["operationId"] for operation in _operations(described)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in ids), ids
    assert all(o["summary"] and o["description"] for o in _operations(described))
    assert all("503" in o["responses"] for o in _operations(described))


def _examples(part: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Schemas with the examples that stand beside or inside them."""
    if isinstance(part, dict):
        schema = part.get("schema")
        if isinstance(schema, dict) and "example" in part:
            yield schema, part["example"]
        if isinstance(part.get("examples"), list):
            yield from ((part, example) for example in part["examples"])
        for value in part.values():
            yield from _examples(value)
    elif isinstance(part, list):
        for value in part:
            yield from _examples(value)


def test_examples_are_what_their_schemas_say(described: dict[str, Any]) -> None:
    found = list(_examples(described))
    assert len(found) > 20
    for schema, example in found:
        whole = {**schema, "components": described["components"]}
        jsonschema.validate(example, whole)


def test_a_real_job_and_verdict_are_what_the_description_says(
    platform: Platform, described: dict[str, Any]
) -> None:
    job_id = platform.judged()
    for path, name in (
        (f"/v1/jobs/{job_id}", "JobView"),
        (f"/v1/jobs/{job_id}/verdict", "Verdict"),
    ):
        content = platform.client.get(path, headers=platform.headers()).json()
        schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        jsonschema.validate(content, schema)


def test_every_problem_code_has_its_line_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "problems.md").read_text()
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    source = "".join(path.read_text() for path in (ROOT / "console" / "web").rglob("*.py"))
    own = set(re.findall(r'code="(\w+)"', source))
    own |= set(re.findall(r'Refusal\(\s*\d+,\s*"(\w+)"', source)) - {"login"}
    own |= {"not_found", "method_not_allowed", "bad_request", "verdict_not_ready", "no_verdict"}
    from console.web.problems import _STATUS

    assert listed == own | {code.value for code in _STATUS} | {ReasonCode.INTERNAL.value}


def test_the_page_for_people_loads_nothing_from_elsewhere(platform: Platform) -> None:
    answer = platform.client.get("/docs")
    assert answer.status_code == 200
    for operation in ("create_job", "list_jobs", "erase_job", "stream_events", "create_webhook"):
        assert f'id="{operation}"' in answer.text
    assert re.findall(r'(?:src|href)="(?:https?:)?//', answer.text) == []
    assert "script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("what", ["verdict", "evidence"])
def test_what_a_client_has_is_not_sent_again(platform: Platform, what: str) -> None:
    job_id, headers = platform.judged(), platform.headers()
    verdict = platform.store.verdict(job_id)
    assert verdict is not None
    name = verdict.evidence[0].face_url.rpartition("/")[2]
    path = f"/v1/jobs/{job_id}/" + ("verdict" if what == "verdict" else f"evidence/{name}")
    first = platform.client.get(path, headers=headers)
    tag = first.headers["etag"]
    for sent in (tag, f'W/{tag}, "other"', "*"):
        again = platform.client.get(path, headers=headers | {"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    changed = platform.client.get(path, headers=headers | {"If-None-Match": '"other"'})
    assert changed.content == first.content
    assert platform.client.get(path, headers={"If-None-Match": tag}).status_code == 401
