"""One trace per video, across the queue, by OpenTelemetry; nothing at all unless an endpoint is set.

A trace begins where a job is written down. Its `traceparent` (W3C) travels in the job's messages, so
that processes which share nothing but Redis add to the same trace. Without UNMASK_OTLP_ENDPOINT no
part of OpenTelemetry is imported.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from unmask import __version__
from unmask.settings import Settings

Kind = Literal["internal", "producer", "consumer"]
Attributes = Mapping[str, str | int | float]

_provider: Any = None


def configure(settings: Settings, role: str) -> None:
    """Send the spans of this process to the settings' endpoint. Call it once, at the start."""
    global _provider  # noqa: PLW0603 - one per process, as OpenTelemetry has it
    if settings.otlp_endpoint is None or _provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = {"service.name": f"unmask-{role}", "service.version": __version__}
    _provider = TracerProvider(resource=Resource.create(named))
    endpoint = settings.otlp_endpoint.rstrip("/") + "/v1/traces"
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))


def is_on() -> bool:
    """Whether spans go anywhere."""
    return _provider is not None


def flush() -> None:
    """Send what is left: a job's process ends without a word to anybody."""
    if _provider is not None:
        _provider.force_flush(5000)


def stop() -> None:
    """Send what is left, and be as if never configured."""
    global _provider  # noqa: PLW0603
    if _provider is not None:
        _provider.shutdown()
        _provider = None


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: Kind = "internal",
    attributes: Attributes | None = None,
) -> Iterator[str | None]:
    """A span around the block, in the trace of `parent` or of the span there is; its traceparent.

    An error that ends the block is recorded in it. None where tracing is off.
    """
    if _provider is None:
        yield None
        return
    made = {"context": _context(parent)} if parent else {}
    with _provider.get_tracer("unmask").start_as_current_span(
        name, kind=_kind(kind), attributes=dict(attributes or {}), **made
    ):
        yield current()


def past(
    name: str,
    parent: str | None,
    seconds: float,
    *,
    attributes: Attributes | None = None,
    links: Sequence[str] = (),
) -> str | None:
    """A span that ends now and lasted `seconds`; its traceparent. None where tracing is off.

    `links`: traceparents of other traces that it served too, as a batch serves several videos.
    """
    if _provider is None:
        return None
    from opentelemetry import trace  # noqa: PLC0415

    end = time.time_ns()
    found = _provider.get_tracer("unmask").start_span(
        name,
        context=_context(parent) if parent else None,
        attributes=dict(attributes or {}),
        links=[trace.Link(_span_context(each)) for each in links],
        start_time=end - int(seconds * 1e9),
    )
    found.end(end_time=end)
    return _format(found.get_span_context())


def current() -> str | None:
    """The traceparent of the span we are in; None outside of any, and where tracing is off."""
    if _provider is None:
        return None
    from opentelemetry import trace  # noqa: PLC0415

    context = trace.get_current_span().get_span_context()
    return _format(context) if context.is_valid else None


def _format(context: Any) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def _context(parent: str) -> Any:
    from opentelemetry import trace  # noqa: PLC0415

    return trace.set_span_in_context(trace.NonRecordingSpan(_span_context(parent)))


def _span_context(traceparent: str) -> Any:
    from opentelemetry import trace  # noqa: PLC0415

    _, trace_id, span_id, _ = traceparent.split("-")
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags)


def _kind(kind: Kind) -> Any:
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    return SpanKind[kind.upper()]
