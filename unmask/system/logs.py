"""Logging for every process: human lines on a terminal, JSON elsewhere, to standard error.

Whoever works on a job binds `job_id` and `video` with structlog.contextvars; every line then
carries them, those of RQ and other libraries too.
"""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor

from unmask.settings import Settings
from unmask.system import tracing

#: Libraries whose routine chatter would drown ours.
_QUIET = ("httpx", "httpcore", "alembic", "sqlalchemy", "onnxscript", "torch", "urllib3")


def _add_trace(_logger: object, _name: str, event: EventDict) -> EventDict:
    """The ids under which a trace viewer finds the moment, where traces are kept."""
    traceparent = tracing.current()
    if traceparent is not None:
        _, event["trace_id"], event["span_id"], _ = traceparent.split("-")
    return event


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's logging alike. Call it once, at the start."""
    level = getattr(logging, settings.log_level.upper())
    human = settings.log == "human" or (settings.log == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        # Plain: the rich one prints every local variable, pictures among them.
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if human
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def hand_to_logging() -> None:
    """Leave what is logged to the standard library's logging, as a library should.

    Nothing is done where structlog is set up already, by the application or by `configure`.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
