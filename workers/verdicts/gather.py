"""Gather what the plugins left in Redis for one job, for the aggregation."""

from dataclasses import replace
from typing import Any

from redis import Redis

from detect_plugins.catalogue import Catalogue
from unmask import queues
from unmask.errors import PluginError, ReasonCode
from unmask.messages import FaceScore, IngestClosed, PluginRef, Reason
from unmask.settings import Settings
from workers.store import JobRow
from workers.verdicts.plugin_verdict import PluginScores

_REPLACED = "its weights were replaced while the video was being judged: submit it again."


def closing(redis: "Redis", job_id: str, generation: int) -> IngestClosed | None:
    """Ingest's last word on the job; None while it has not spoken."""
    raw: Any = redis.get(queues.closed(job_id, generation))
    return None if raw is None else IngestClosed.model_validate_json(raw)


def gather(
    redis: "Redis", row: JobRow, catalogue: Catalogue, settings: Settings
) -> tuple[PluginScores, ...]:
    """Every plugin's scores, failures and particulars, in the order they were asked for."""
    asked = {ref.slug for ref in row.submission.plugins}
    results = []
    for ref in row.plugins:
        result = particulars(ref, catalogue, settings)
        if result.problem is None and ref.slug in asked:
            result = _scored(redis, row, result)
        results.append(result)
    return tuple(results)


def heatmap(redis: "Redis", row: JobRow, score: FaceScore) -> bytes | None:
    """The stored map of one score, h*w bytes; None where it has expired."""
    key = queues.maps(row.id, row.generation, score.plugin.slug)
    found: Any = redis.hget(key, score.crop.key)
    return None if found is None else bytes(found)


def _scored(redis: "Redis", row: JobRow, plugin: PluginScores) -> PluginScores:
    names = (row.id, row.generation, plugin.ref.slug)
    with redis.pipeline(transaction=False) as pipe:
        pipe.hgetall(queues.scores(*names))
        pipe.hgetall(queues.failures(*names))
        pipe.smembers(queues.engines(*names))
        scores, failures, engines = pipe.execute()
    found = [FaceScore.model_validate_json(raw) for raw in scores.values()]
    return replace(
        plugin,
        asked=True,
        scores=tuple(sorted(found, key=_place)),
        failures={k.decode(): Reason.model_validate_json(v) for k, v in failures.items()},
        engines=tuple(sorted(engine.decode() for engine in engines)),
    )


def _place(score: FaceScore) -> tuple[int, int]:
    return score.crop.frame_index, score.crop.face_index


def particulars(ref: PluginRef, catalogue: Catalogue, settings: Settings) -> PluginScores:
    """The plugin as it is installed here and now, and what is wrong with it."""
    found = PluginScores(ref=ref, version="", card=None, asked=False)
    try:
        entry = catalogue.get(ref.key)
        manifest = entry.require_manifest()
        found = replace(found, version=manifest.version, caption=manifest.map.caption)
        if entry.ref(settings.weights_dir) != ref:
            reason = Reason(code=ReasonCode.PLUGIN_FAILED, message=f"{ref.key}: {_REPLACED}")
            return replace(found, problem=reason)
        card = entry.card(settings.weights_dir)
        caption = (card.map_caption if card else "") or manifest.map.caption
        return replace(found, card=card, caption=caption)
    except PluginError as error:
        return replace(found, problem=Reason(code=error.code, message=str(error)))
