"""A small real OpenID Connect provider: discovery, codes with PKCE, signed ID tokens, on loopback."""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Form, Response
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "unmask", "the client's secret"


class Provider:
    """Logs everybody in at once as whoever `claims` says."""

    def __init__(self) -> None:
        self.claims: dict[str, str] = {"sub": "u-1"}
        self.signing = RSAKey.generate_key(2048, parameters={"kid": "1"}, private=True)
        self.published = self.signing
        self.issuer = ""
        self._codes: dict[str, dict[str, str]] = {}

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def discovery() -> dict[str, object]:
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }

        @app.get("/keys")
        def keys() -> dict[str, object]:
            return {"keys": [self.published.as_dict(private=False)]}

        @app.get("/authorize")
        def authorize(
            redirect_uri: str, state: str, nonce: str, code_challenge: str, client_id: str
        ) -> Response:
            code = secrets.token_urlsafe(8)
            self._codes[code] = {"nonce": nonce, "challenge": code_challenge, "client": client_id}
            return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}")

        @app.post("/token")
        def token(code: str = Form(), code_verifier: str = Form()) -> Response:
            known = self._codes.pop(code, None)
            digest = hashlib.sha256(code_verifier.encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if known is None or known["challenge"] != challenge:
                return JSONResponse({"error": "invalid_grant"}, status_code=400)
            now = int(time.time())
            claims = self.claims | {
                "iss": self.issuer,
                "aud": CLIENT_ID,
                "nonce": known["nonce"],
                "iat": now,
                "exp": now + 300,
            }
            signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.signing)
            return JSONResponse(
                {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": signed}
            )

        return app


@contextmanager
def running_provider() -> Iterator[Provider]:
    """The provider, listening on a free port."""
    provider = Provider()
    config = uvicorn.Config(provider.app(), port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline, "the provider did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    provider.issuer = f"http://127.0.0.1:{port}"
    yield provider
    server.should_exit = True
    thread.join(timeout=60)
