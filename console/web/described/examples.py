"""Examples and shapes that the OpenAPI description shows."""

from typing import Any

from console.show.verdict_schema import verdict_schema
from console.web.answers import PathSubmission
from console.web.problems import MEDIA_TYPE
from unmask.settings import Settings

#: Whole, without a null: FastAPI leaves nulls out of examples, which then lack what they must have.
JOB_EXAMPLE: dict[str, Any] = {
    "example": {
        "id": "0193f2c4a7d84b0f9d0a5a1c",
        "job_status": "succeeded",
        "generation": 0,
        "filename": "clip.mp4",
        "sample": str(Settings.model_fields["sample"].default),
        "policy": "default@1",
        "plugins": ["sola@3f1c9a0b77de"],
        "progress": {
            "phase": "done", "sampled": 32, "crops": 31, "scored": 31, "crops_expected": 31,
        },
        "reasons": [],
        "created_at": "2026-11-21T09:00:00.000000+00:00",
        "updated_at": "2026-11-21T09:00:09.500000+00:00",
        "verdict_url": "/v1/jobs/0193f2c4a7d84b0f9d0a5a1c/verdict",
        "verdict": {
            "verdict": "fake", "p_fake": 0.96, "calibrated": True, "reliable": True, "reasons": [],
        },
        "decided": "fake",
        "external_id": "post-1",
        "metadata": {"uploader": 7},
        "tags": ["profile"],
        "priority": "batch",
        "media_sha256": "9f2c" * 16,
        "submitted_by": "key:0a1b2c3d4e5f",
    }
}  # fmt: skip

_PROBLEM_EXAMPLE = {
    "type": "urn:unmask:problem:idempotency_conflict",
    "title": "Idempotency conflict",
    "status": 409,
    "detail": "the Idempotency-Key 'a1' was used before with another body.",
    "code": "idempotency_conflict",
    "fix": "Send a new key with a new request, or the same body with this one.",
    "instance": "/v1/jobs",
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "A problem document (RFC 9457); docs/reference/problems.md lists the codes.",
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": _PROBLEM_EXAMPLE,
            }
        },
    }
}

UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "If-None-Match names what there is."}
}

VERDICT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Verdict v2. Its ETag changes with its bytes.",
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Verdict"},
            }
        },
    },
    **UNCHANGED,
    **PROBLEMS,
}

_BY_REFERENCE = PathSubmission.model_json_schema(ref_template="#/components/schemas/{model}")
_BY_REFERENCE["oneOf"] = [{"required": ["path"]}, {"required": ["url"]}]

SUBMIT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "additionalProperties": False,
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "The video."},
                    "plugins": {"type": "string", "examples": ["sola,lrl"]},
                    "policy": {"type": "string", "examples": ["default"]},
                    "sample": {"type": "string", "examples": ["uniform:32", "fps:2"]},
                    "external_id": {"type": "string", "maxLength": 200},
                    "metadata": {"type": "string", "examples": ['{"uploader": 7}']},
                    "tags": {"type": "string", "examples": ["profile,new"]},
                    "priority": {"type": "string", "enum": ["live", "batch", "low"]},
                    "reuse": {"type": "string", "enum": ["true", "false"]},
                },
            }
        },
        "application/json": {
            "schema": _BY_REFERENCE,
            "example": {"path": "/media/clip.mp4", "sample": "fps:2"},
        },
    },
}

VERDICT_SCHEMA: dict[str, Any] = verdict_schema()
