"""The web application: API and page over one store and one Redis."""

from collections.abc import Sequence
from functools import partial

from fastapi import Depends, FastAPI
from redis import Redis

from console.web import about, decisions, jobs, keys, page, problems, stream_page, streams
from console.web.described import docs, server_pages
from console.web.described.description import describe_api
from console.web.door.bounds import BoundBodies
from console.web.door.guard import Guard
from console.web.door.hosts import CheckHost
from console.web.door.parameters import only_known_parameters
from console.web.door.request_metrics import Metrics
from console.web.identity import login
from console.web.identity.gate import Gate, authorize
from console.web.identity.rates import RateLimits
from console.web.identity.sessions import Sessions
from console.web.intake import bulk, submission
from console.web.operation import control, dead_letter_routes
from console.web.player import media_routes, rendition_routes, script_route
from console.web.push import event_stream, webhook_routes
from console.web.review import at_work, care_page, deciding, find_page, queue_pages
from console.web.services import WebServices
from unmask import __version__
from unmask.requests.review_rules import load_review_rules
from unmask.settings import Settings
from workers.store import Store

_DESCRIPTION = """Hand in videos, follow the jobs, read verdicts with heatmaps.

`p_fake` is between 0 and 1 everywhere, and higher means more likely forged; null where a video
cannot be judged, with a reason code. Errors are problem documents (RFC 9457)."""


def create_app(
    settings: Settings,
    *,
    store: Store,
    redis: Redis,
    allowed_hosts: Sequence[str] = ("*",),
    is_open: bool = True,
) -> FastAPI:
    """Assemble the application.

    `allowed_hosts`: names a browser may call this server by. `is_open`: until the first key is
    made, and where no identity provider is set, nobody has to say who they are.
    """
    # No ready-made docs: their pages load scripts from another host, which this one never does.
    app = FastAPI(
        title="Unmask",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(authorize), Depends(only_known_parameters)],
    )
    app.state.service = WebServices(settings=settings, store=store, redis=redis)
    app.state.gate = Gate(
        store=store,
        rates=RateLimits(redis, settings),
        may_be_open=is_open,
        has_login=settings.oidc_issuer is not None,
        session_hours=settings.session_hours,
        review=load_review_rules(settings.review),
    )
    app.openapi = partial(describe_api, app, _DESCRIPTION)  # type: ignore[method-assign]
    app.state.oauth = login.provider(settings)
    problems.install(app)
    for part in (
        submission,
        bulk,
        jobs,
        media_routes,
        rendition_routes,
        control,
        dead_letter_routes,
        streams,
        decisions,
        event_stream,
        webhook_routes,
        keys,
        about,
        docs,
        find_page,
        queue_pages,
        deciding,
        at_work,
        care_page,
        page,
        script_route,
        server_pages,
        stream_page,
    ):
        app.include_router(part.router)
    app.include_router(login.api)
    app.include_router(login.page)
    app.add_middleware(Guard)
    app.add_middleware(Sessions, settings=settings)
    # Refuses a foreign name that was made to point at this machine (DNS rebinding).
    app.add_middleware(CheckHost, allowed=list(allowed_hosts))
    app.add_middleware(Metrics)
    app.add_middleware(BoundBodies, settings=settings)
    return app
