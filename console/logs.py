"""structlog for every command: human lines on a terminal, JSON elsewhere, always on stderr."""

import logging
import sys

import structlog

from unmask.settings import Settings


def configure_logs(settings: Settings, *, quiet: bool = False) -> None:
    """Set up logging once a process. `quiet`: warnings and worse, unless the settings ask for more.

    Progress bars and tables share the terminal with the log, so that commands with bars are quiet.
    """
    level = getattr(logging, settings.log_level.upper())
    if quiet and "log_level" not in settings.model_fields_set:
        level = logging.WARNING
    human = settings.log == "human" or (settings.log == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
