"""Log in and out: with a key, or at the identity provider that the settings name."""

from typing import Any

import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from httpx import HTTPError
from joserfc.errors import JoseError
from starlette.concurrency import run_in_threadpool

from console.show.report import environment
from console.web.identity.actor import OPEN
from console.web.identity.gate import Gate
from console.web.intake.bodies import form_of
from console.web.problems import Refusal
from console.web.services import WebServicesDep
from unmask.frozen import Frozen
from unmask.requests.job_details import DEFAULT_TENANT
from unmask.requests.permissions import ROLES, Role
from unmask.settings import Settings

log = structlog.get_logger(__name__)
page = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1", tags=["identity"])
_NEXT = "next"


class Me(Frozen):
    """Who this server takes the caller for."""

    actor: str
    name: str
    tenant: str
    role: Role
    permissions: tuple[str, ...]
    csrf_token: str | None
    """Only for a browser's session: sent along with every change as X-CSRF-Token."""


@api.get("/me", response_model=Me, summary="Who am I?", operation_id="get_me")
def me(found: WebServicesDep) -> Me:
    """The caller with its tenant, role and permissions."""
    actor = found.actor
    return Me(
        actor=actor.id,
        name=actor.name,
        tenant=actor.tenant,
        role=actor.role,
        permissions=tuple(sorted(actor.permissions)),
        csrf_token=actor.csrf or None,
    )


def provider(settings: Settings) -> OAuth | None:
    """The identity provider of the settings, asked for its addresses at the first login."""
    if settings.oidc_issuer is None:
        return None
    oauth = OAuth()
    oauth.register(
        "oidc",
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        server_metadata_url=settings.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
    )
    return oauth


@page.get("/login")
def show(request: Request) -> HTMLResponse:
    """The form, and the way to the identity provider where there is one."""
    return _form(request)


def _form(request: Request, problem: str = "", status: int = 200) -> HTMLResponse:
    text = (
        environment()
        .get_template("login.html")
        .render(
            title="Log in",
            problem=problem,
            has_provider=request.app.state.oauth is not None,
            next=_safe(request.query_params.get(_NEXT, "")),
            root=request.scope.get("root_path", ""),
            actor=OPEN,
            refresh=False,
        )
    )
    return HTMLResponse(text, status_code=status)


@page.post("/login")
async def by_key(request: Request) -> Response:
    """A person with a key: the session lasts as long as the settings say, or the key."""
    gate: Gate = request.app.state.gate
    sent = await form_of(request)
    key = await run_in_threadpool(gate.store.keys.find, sent.get("key", "").strip())
    if key is None:
        await run_in_threadpool(
            gate.rates.failed_login, request.client.host if request.client else ""
        )
        return _form(request, "Nobody knows this key: it is mistyped, revoked or over.", 401)
    gate.log_in(request, {"key": key.id})
    return _onward(request, sent.get(_NEXT, ""))


@page.get("/login/oidc")
async def by_provider(request: Request) -> Response:
    """Off to the identity provider."""
    client = _client(request)
    request.session[_NEXT] = _safe(request.query_params.get(_NEXT, ""))
    try:
        sent: Response = await client.authorize_redirect(request, _callback(request))
    except (HTTPError, OAuthError, ValueError) as error:
        log.error("login.provider_away", error=str(error))
        raise Refusal(
            503, "provider_unavailable", "the identity provider does not answer."
        ) from error
    return sent


@page.get("/login/callback")
async def back(request: Request) -> Response:
    """Back from it, with a code that is exchanged for an ID token; its signature is checked."""
    gate: Gate = request.app.state.gate
    settings: Settings = request.app.state.service.settings
    onward = request.session.get(_NEXT, "")
    try:
        token: dict[str, Any] = await _client(request).authorize_access_token(request)
    except (OAuthError, HTTPError, JoseError, ValueError) as error:
        log.warning("login.refused", error=str(error))
        return _form(request, "The login did not work. Try it again.", 401)
    claims: dict[str, Any] = token.get("userinfo") or {}
    role = claims.get(settings.oidc_role_claim)
    if role not in ROLES or "sub" not in claims:
        return _form(request, f"Your account has no role here ({settings.oidc_role_claim}).", 403)
    gate.log_in(
        request,
        {
            "id": f"user:{settings.oidc_issuer}#{claims['sub']}"[:200],
            "name": str(claims.get("name") or claims.get("email") or claims["sub"])[:100],
            "tenant": str(claims.get(settings.oidc_tenant_claim) or DEFAULT_TENANT),
            "role": role,
        },
    )
    return _onward(request, onward)


@page.post("/logout")
def out(request: Request) -> Response:
    """End the session."""
    request.session.clear()
    return RedirectResponse(f"{request.scope.get('root_path', '')}/login", status_code=303)


def _client(request: Request) -> Any:
    oauth: OAuth | None = request.app.state.oauth
    if oauth is None:
        raise Refusal(404, "not_found", "nobody logs in elsewhere here.", fix="Log in with a key.")
    return oauth.create_client("oidc")


def _callback(request: Request) -> str:
    return str(request.url_for("back"))


def _onward(request: Request, path: str) -> Response:
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}{_safe(path) or '/'}", status_code=303)


def _safe(path: str) -> str:
    """A path of this server alone: no other host can be smuggled in as where to go next."""
    fine = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if fine else ""
