"""At the door: who is it, may they, and not too often. A dependency of every route."""

import secrets
import threading
import time
from dataclasses import dataclass, field

from fastapi import Request

from console.web.identity.actor import OPEN, Actor
from console.web.identity.rates import RateLimits
from console.web.identity.route_permissions import PUBLIC, ROUTES
from console.web.problems import Refusal
from console.web.review.blind import first_opinion_wanted, hidden_jobs, tells_of
from unmask.requests.permissions import ALLOWED, ROLES
from unmask.requests.review_rules import DEFAULT, ReviewRules
from unmask.requests.tenant_rules import Quota
from workers.store import Store
from workers.store.keys import ApiKey

_RECHECK_S = 2.0
_SAFE = {"GET", "HEAD", "OPTIONS"}
VISITOR, VISITOR_NAME = "visitor", "visitor_name"
_SESSION_ACTOR, _SESSION_UNTIL, _SESSION_CSRF = "actor", "until", "csrf"


@dataclass
class Gate:
    """Knows every caller. `may_be_open`: nobody has to log in, until the first key is made."""

    store: Store
    rates: RateLimits
    may_be_open: bool = True
    has_login: bool = False
    """Whether people log in at an identity provider."""
    session_hours: float = 8.0
    review: ReviewRules = DEFAULT
    _checked_at: float = field(default=-_RECHECK_S, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def is_open(self) -> bool:
        """Whether everybody is let in. Once closed, it stays closed."""
        with self._lock:
            if self.may_be_open and time.monotonic() - self._checked_at >= _RECHECK_S:
                self._checked_at = time.monotonic()
                self.may_be_open = not self.has_login and not self.store.keys.exist()
            return self.may_be_open

    def identify(self, request: Request) -> Actor | None:
        """Who is asking; None where they do not say, or nobody knows them. Raises Refusal (429)."""
        shown = _shown_key(request)
        if shown is not None:
            key = self.store.keys.find(shown)
            if key is None:
                self.rates.failed_login(request.client.host if request.client else "")
                return None
            return actor_of_key(key)
        found = self._of_session(request)
        return found if found is not None or not self.is_open() else _visitor(request)

    def _of_session(self, request: Request) -> Actor | None:
        session = request.session
        if session.get(_SESSION_UNTIL, 0) < time.time() or _SESSION_ACTOR not in session:
            return None
        kept, csrf = session[_SESSION_ACTOR], session[_SESSION_CSRF]
        if "key" in kept:
            key = self.store.keys.by_id(kept["key"])
            found = None if key is None else actor_of_key(key)
        elif kept.get("role") in ROLES:
            found = Actor(
                id=kept["id"],
                name=kept["name"],
                tenant=kept["tenant"],
                role=kept["role"],
                permissions=ALLOWED[kept["role"]],
                how="session",
            )
        else:
            found = None
        return found and found.model_copy(update={"how": "session", "csrf": csrf})

    def log_in(self, request: Request, kept: dict[str, str]) -> None:
        """Open a session: for a key {"key": ID}, for a person id, name, tenant and role."""
        request.session.clear()  # a session that somebody else prepared is not taken over
        request.session.update(
            {
                _SESSION_ACTOR: kept,
                _SESSION_UNTIL: time.time() + self.session_hours * 3600,
                _SESSION_CSRF: secrets.token_urlsafe(16),
            }
        )


def _visitor(request: Request) -> Actor:
    """Where nobody logs in, browsers are told apart once they take part in a queue."""
    visitor = request.session.get(VISITOR)
    if visitor is None:
        return OPEN
    name = request.session.get(VISITOR_NAME, "")
    return OPEN.model_copy(update={"id": f"open:{visitor}", "name": name})


def actor_of_key(key: ApiKey) -> Actor:
    """The caller who shows this key."""
    return Actor(
        id=f"key:{key.id}",
        name=key.name,
        tenant=key.tenant,
        role=key.role,
        permissions=key.permissions,
        how="key",
        rate=key.rate,
        quota=Quota(jobs=key.jobs_per_day, bytes=key.bytes_per_day),
    )


def authorize(request: Request) -> None:
    """Let the request in, with its actor, or raise Refusal: 401, 403 or 429."""
    gate: Gate = request.app.state.gate
    method, path = request.method, request.scope["route"].path
    needed = ROUTES.get(("GET" if method == "HEAD" else method, path))
    actor = gate.identify(request)
    request.state.hidden = frozenset()
    request.state.actor = actor or OPEN.model_copy(update={"permissions": frozenset()})
    if needed == PUBLIC:
        return
    if actor is None:
        raise _unknown(request)
    if needed not in actor.permissions:
        raise Refusal(
            403,
            "forbidden",
            f"{actor.role} may not do this"
            + (f": it takes {needed}." if needed else ": nobody may."),
            fix="Use a key or an account with another role.",
        )
    if actor.how == "session" and method not in _SAFE:
        _check_token(request, actor)
    gate.rates.check(actor, needed)
    request.state.hidden = hidden_jobs(gate.store, gate.review, actor)
    if tells_of(request.path_params.get("job_id", ""), needed, path, request.state.hidden):
        raise first_opinion_wanted()


def _shown_key(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return request.headers.get("x-api-key")


def _check_token(request: Request, actor: Actor) -> None:
    """A form or script of this server's own page knows the session's token; no other page can."""
    sent = request.headers.get("x-csrf-token") or request.query_params.get("csrf", "")
    if not secrets.compare_digest(sent.encode(), actor.csrf.encode()):
        raise Refusal(
            403,
            "forbidden",
            "the request does not come from this session's own page.",
            fix="Load the page again; scripts send X-CSRF-Token, as GET /v1/me gives it.",
        )


def _unknown(request: Request) -> Refusal:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return Refusal(303, "login", "Log in first.", headers={"Location": _login_for(request)})
    return Refusal(
        401,
        "unauthenticated",
        "this server must know who is asking.",
        fix="Send `Authorization: Bearer KEY`; `unmask keys create` makes one.",
        headers={"WWW-Authenticate": 'Bearer realm="unmask"'},
    )


def _login_for(request: Request) -> str:
    from urllib.parse import quote  # noqa: PLC0415

    root = request.scope.get("root_path", "")
    return f"{root}/login?next={quote(request.url.path.removeprefix(root), safe='/')}"
