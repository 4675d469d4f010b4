"""Structured logs: one JSON object a line on standard error; no token, name or words."""

import logging
import sys

import structlog


def set_up(level: str = "INFO", pretty: bool = False) -> None:
    """Logs go to standard error, as JSON, or readable when `pretty`."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
