"""Signed receipts of erasures: what was removed, when and for whom. JWS with Ed25519 (RFC 8037)."""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

_NAME = "receipt-key.json"
_ALGORITHM = "Ed25519"


def signing_key(data_dir: Path) -> OKPKey:
    """The key of this installation, made at its first use and readable by its owner alone.

    Raises OSError where the folder cannot be written to.
    """
    path = data_dir / _NAME
    data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        key = OKPKey.generate_key("Ed25519", parameters={"kid": secrets.token_hex(4)}, private=True)
        draft = path.with_name(f"{_NAME}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(key.as_dict(private=True), file)
        # Whole or not at all: of two processes that make one together, the first one's stands.
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return OKPKey.import_key(json.loads(path.read_text(encoding="ascii")))


def sign(key: OKPKey, content: dict[str, Any]) -> str:
    """The content as a compact JWS."""
    header = {"alg": _ALGORITHM, "kid": key.kid, "typ": "unmask-receipt+jws"}
    body = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    return jws.serialize_compact(header, body, key, algorithms=[_ALGORITHM])


def public_key(key: OKPKey) -> dict[str, Any]:
    """What whoever is given a receipt checks it with: a JWK."""
    return dict(key.as_dict(private=False))


def read(signed: str, key: dict[str, Any]) -> dict[str, Any] | None:
    """The content of a receipt that this public key's owner signed; None for any other."""
    try:
        found = jws.deserialize_compact(signed, OKPKey.import_key(key), algorithms=[_ALGORITHM])
    except (JoseError, ValueError):
        return None
    content: dict[str, Any] = json.loads(found.payload)
    return content
