"""The Python client of the API: standard library and pydantic alone, no torch."""

from console.client.client import ApiError, Client

__all__ = ["ApiError", "Client"]
