"""The published JSON Schema of verdict.json, made from the models so that it cannot drift."""

import json
from typing import Any

from unmask.verdict import Verdict

SCHEMA_ID = "urn:unmask:verdict:v2"


def verdict_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a verdict as it is written to disk and sent by the API."""
    schema = Verdict.model_json_schema(mode="serialization")
    # A verdict is always written whole, so clients may rely on every field being there.
    for model in (schema, *schema["$defs"].values()):
        if "properties" in model:
            model["required"] = list(model["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
        "title": "Unmask verdict, version 2",
    }


def verdict_schema_text() -> str:
    """The schema as it is published in docs/reference/."""
    return json.dumps(verdict_schema(), indent=2, ensure_ascii=False) + "\n"
