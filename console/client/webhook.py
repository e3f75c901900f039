"""Check that a webhook is from Unmask, and not old: Standard Webhooks, on the standard library."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

from console.client.shapes import Event

_TOLERANCE_S = 300


class WebhookRefused(ValueError):
    """The message is not signed with this secret, or is too old or too new."""


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, now_s: float | None = None
) -> Event:
    """The event in a webhook's body, once its signature is checked. Raises WebhookRefused.

    `headers` in any case; `body` as it came, byte for byte. Of repeats, `webhook-id` is the same.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        number, stamp = found["webhook-id"], int(found["webhook-timestamp"])
        marks = found["webhook-signature"].split()
        key = base64.b64decode(secret.removeprefix("whsec_"))
    except (KeyError, ValueError, binascii.Error) as error:
        raise WebhookRefused("the headers of a webhook are missing or odd") from error
    if abs((time.time() if now_s is None else now_s) - stamp) > _TOLERANCE_S:
        raise WebhookRefused("the message is too old, or the clocks differ")
    digest = hmac.new(key, f"{number}.{stamp}.".encode() + body, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(digest).decode()
    if not any(hmac.compare_digest(mark.encode(), wanted.encode()) for mark in marks):
        raise WebhookRefused("the signature is not of this secret")
    event: Event = json.loads(body)
    return event
