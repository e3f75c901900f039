"""The Python client of the API: standard library and pydantic alone, no torch."""

from console.client.asynchronous import AsyncClient
from console.client.client import Client
from console.client.connection import ApiError
from console.client.webhook import WebhookRefused, verify_webhook

__all__ = ["ApiError", "AsyncClient", "Client", "WebhookRefused", "verify_webhook"]
