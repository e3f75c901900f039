"""Examples and shapes that the OpenAPI description shows."""

from typing import Any

from console.show.verdict_schema import verdict_schema
from console.web.problems import MEDIA_TYPE, Problem
from unmask.settings import Settings

JOB_EXAMPLE: dict[str, Any] = {
    "example": {
        "id": "0193f2c4a7d84b0f9d0a5a1c7be21e55",
        "job_status": "running",
        "generation": 0,
        "filename": "clip.mp4",
        "sample": str(Settings.model_fields["sample"].default),
        "policy": "default@1",
        "plugins": ["sola@3f1c9a0b77de"],
        "progress": {
            "phase": "scoring", "sampled": 32, "crops": 31, "scored": 8, "crops_expected": 31,
        },
        "reasons": [],
        "created_at": "2026-11-21T09:00:00.000000+00:00",
        "updated_at": "2026-11-21T09:00:01.500000+00:00",
        "verdict_url": None,
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
        "description": "A problem document (RFC 9457).",
        "model": Problem,
        "content": {MEDIA_TYPE: {"example": _PROBLEM_EXAMPLE}},
    }
}

VERDICT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Verdict v2.",
        "content": {
            "application/json": {
                "schema": {"$ref": "/v1/schema/verdict"},
            }
        },
    },
    **PROBLEMS,
}

SUBMIT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "The video."},
                    "plugins": {"type": "string", "examples": ["sola,lrl"]},
                    "policy": {"type": "string", "examples": ["default"]},
                    "sample": {"type": "string", "examples": ["uniform:32", "fps:2"]},
                },
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "oneOf": [{"required": ["path"]}, {"required": ["url"]}],
                "properties": {
                    "path": {"type": "string", "examples": ["/media/clip.mp4"]},
                    "url": {"type": "string", "examples": ["https://cdn.example.com/clip.mp4"]},
                    "plugins": {"type": "array", "items": {"type": "string"}},
                    "policy": {"type": "string"},
                    "sample": {"type": "string"},
                },
            },
            "example": {"path": "/media/clip.mp4", "sample": "fps:2"},
        },
    },
}

VERDICT_SCHEMA: dict[str, Any] = verdict_schema()
