"""Read a verdict of any version that was ever published, as the newest."""

import json
from typing import Any

from pydantic import ValidationError

from unmask.verdict.labels import VerdictLabel
from unmask.verdict.whole import Verdict

_LABELS_OF_V1 = {"authentic": VerdictLabel.NO_SIGN_FOUND.value}


def read_verdict(text: str | bytes) -> Verdict:
    """The verdict in a JSON text of version 1 or 2. Raises ValueError for anything else.

    A verdict of version 1 keeps its numbers; what version 1 did not say is absent or empty.
    """
    try:
        return Verdict.model_validate_json(text)
    except ValidationError:  # two hours of video are megabytes: the usual one is read once
        values: Any = json.loads(text)
        if not isinstance(values, dict) or values.get("schema_version") != "1":
            raise
    label = str(values.get("verdict"))
    return Verdict.model_validate_json(
        json.dumps(values | {"schema_version": "2", "verdict": _LABELS_OF_V1.get(label, label)})
    )
