"""Every address and the permission it asks for. An address without a row is refused to everybody."""

from typing import Final

from unmask.requests.permissions import Permission

#: Anybody may ask: it tells nothing of any job.
PUBLIC: Final = "public"

_TABLE: dict[str, dict[str, Permission | str]] = {
    # The API
    "/v1/jobs": {"GET": "jobs.read", "POST": "jobs.submit"},
    "/v1/bulk/submit": {"POST": "jobs.submit"},
    "/v1/bulk/status": {"POST": "jobs.read"},
    "/v1/jobs/{job_id}": {"GET": "jobs.read", "DELETE": "jobs.erase"},
    "/v1/jobs/{job_id}/cancel": {"POST": "jobs.control"},
    "/v1/jobs/{job_id}/rerun": {"POST": "jobs.control"},
    "/v1/jobs/{job_id}/events": {"GET": "events.read"},
    "/v1/events": {"GET": "events.read"},
    "/v1/webhooks": {"GET": "webhooks.manage", "POST": "webhooks.manage"},
    "/v1/webhooks/{webhook_id}": {"DELETE": "webhooks.manage"},
    "/v1/webhooks/{webhook_id}/rotate": {"POST": "webhooks.manage"},
    "/v1/webhooks/{webhook_id}/attempts": {"GET": "webhooks.manage"},
    "/v1/webhooks/{webhook_id}/replay": {"POST": "webhooks.manage"},
    "/v1/dead-letters": {"GET": "jobs.control"},
    "/v1/dead-letters/{letter_id}": {"GET": "jobs.control", "DELETE": "jobs.control"},
    "/v1/dead-letters/{letter_id}/retry": {"POST": "jobs.control"},
    "/v1/receipts": {"GET": "jobs.erase"},
    "/v1/receipts/{job_id}": {"GET": "jobs.erase"},
    "/v1/receipt-key": {"GET": PUBLIC},
    "/v1/jobs/{job_id}/verdict": {"GET": "verdicts.read"},
    "/v1/jobs/{job_id}/evidence/{name}": {"GET": "verdicts.read"},
    "/v1/jobs/{job_id}/media": {"GET": "media.read"},
    "/v1/jobs/{job_id}/rendition": {"GET": "media.read"},
    "/v1/jobs/{job_id}/faces": {"GET": "media.read"},
    "/v1/jobs/{job_id}/decisions": {"GET": "decisions.read", "POST": "decisions.make"},
    "/v1/decisions": {"GET": "decisions.read"},
    "/v1/streams": {"GET": "jobs.read", "POST": "jobs.submit"},
    "/v1/streams/{stream_id}": {"GET": "jobs.read", "DELETE": "jobs.erase"},
    "/v1/streams/{stream_id}/windows": {"GET": "verdicts.read"},
    "/v1/streams/{stream_id}/verdict": {"GET": "verdicts.read"},
    "/v1/streams/{stream_id}/events": {"GET": "events.read"},
    "/v1/streams/{stream_id}/stop": {"POST": "jobs.control"},
    "/v1/keys": {"GET": "keys.manage", "POST": "keys.manage"},
    "/v1/keys/{key_id}": {"DELETE": "keys.manage"},
    "/v1/me": {"GET": "about.read"},
    "/v1/plugins": {"GET": "about.read"},
    "/v1/schema/verdict": {"GET": PUBLIC},
    "/openapi.json": {"GET": PUBLIC},
    "/docs": {"GET": PUBLIC},
    "/health/live": {"GET": PUBLIC},
    "/health/startup": {"GET": PUBLIC},
    "/health/ready": {"GET": PUBLIC},
    # The page
    "/": {"GET": "jobs.read", "POST": "jobs.submit"},
    "/undecided": {"GET": "decisions.make"},
    "/queues": {"GET": "decisions.make"},
    "/queues/skipped": {"POST": "decisions.make"},
    "/queues/{queue}": {"GET": "decisions.make"},
    "/queues/{queue}/next": {"POST": "decisions.make"},
    "/detectors": {"GET": "about.read"},
    "/health": {"GET": "about.read"},
    "/dead-letters/{letter_id}/retry": {"POST": "jobs.control"},
    "/dead-letters/{letter_id}/drop": {"POST": "jobs.control"},
    "/streams": {"GET": "jobs.read"},
    "/streams/{stream_id}": {"GET": "verdicts.read"},
    "/streams/{stream_id}/stop": {"POST": "jobs.control"},
    "/jobs/{job_id}": {"GET": "verdicts.read"},
    "/jobs/{job_id}/decisions": {"GET": "verdicts.read", "POST": "decisions.make"},
    "/jobs/{job_id}/opinion": {"POST": "decisions.make"},
    "/jobs/{job_id}/undo": {"POST": "decisions.make"},
    "/jobs/{job_id}/hold": {"POST": "decisions.make"},
    "/jobs/{job_id}/leave": {"POST": "decisions.make"},
    "/jobs/{job_id}/skip": {"POST": "decisions.make"},
    "/jobs/{job_id}/snooze": {"POST": "decisions.make"},
    "/jobs/{job_id}/escalate": {"POST": "decisions.make"},
    "/preferences": {"GET": "about.read", "POST": "about.read"},
    "/login": {"GET": PUBLIC, "POST": PUBLIC},
    "/login/oidc": {"GET": PUBLIC},
    "/login/callback": {"GET": PUBLIC},
    "/logout": {"POST": "about.read"},
    "/static/style.css": {"GET": PUBLIC},
    "/static/refresh.js": {"GET": PUBLIC},
    "/static/player.js": {"GET": PUBLIC},
    "/static/reading.js": {"GET": PUBLIC},
    "/static/upload.js": {"GET": PUBLIC},
    "/static/review.js": {"GET": PUBLIC},
    "/static/icon.svg": {"GET": PUBLIC},
}

#: (method, path as the route spells it) -> permission, or PUBLIC.
ROUTES: dict[tuple[str, str], Permission | str] = {
    (method, path): needed for path, methods in _TABLE.items() for method, needed in methods.items()
}
