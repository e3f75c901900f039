"""The published schema of verdict.json."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from console.show.verdict_schema import verdict_schema, verdict_schema_text
from unmask.verdict import Verdict

PUBLISHED = Path(__file__).resolve().parents[4] / "docs" / "reference" / "verdict-v2.schema.json"


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == verdict_schema_text(), (
        "write it again: unmask schema > docs/reference/verdict-v2.schema.json"
    )


def test_a_verdict_is_valid_against_the_published_schema(
    make_verdict: Callable[..., Verdict],
) -> None:
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(make_verdict().canonical_json()), schema)


@pytest.mark.parametrize(
    ("field", "value"), [("p_fake", 1.5), ("verdict", "maybe"), ("schema_version", "1")]
)
def test_the_schema_refuses_what_is_not_a_verdict(
    make_verdict: Callable[..., Verdict], field: str, value: object
) -> None:
    document = json.loads(make_verdict().canonical_json()) | {field: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, verdict_schema())


def test_every_field_of_a_verdict_is_required_so_that_clients_need_no_defaults() -> None:
    schema = verdict_schema()
    models = [schema, *(model for model in schema["$defs"].values() if "properties" in model)]
    assert len(models) > 10
    assert all(set(model["required"]) == set(model["properties"]) for model in models)


def test_a_stored_verdict_of_before_conditions_is_still_read(
    make_verdict: Callable[..., Verdict],
) -> None:
    document = json.loads(make_verdict().canonical_json())
    del document["policy"]["conditions"]
    for track in document["tracks"]:
        del track["condition"]
    assert Verdict.model_validate(document) == make_verdict()
