"""/v1/keys: make, list and revoke API keys of one's own tenant."""

from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from console.web.described.examples import PROBLEMS
from console.web.identity.rates import parse_rate
from console.web.services import WebServicesDep
from unmask.errors import InputError, ReasonCode
from unmask.frozen import Frozen
from unmask.requests.permissions import Permission, Role
from unmask.requests.tenant_rules import Quota
from workers.store.keys import ApiKey, expiry

router = APIRouter(prefix="/v1", tags=["identity"])
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class KeyWanted(Frozen):
    """What a new key may do, and for how long."""

    name: _Name
    """Whose it is, as people will read it in decisions and lists."""
    role: Role
    scopes: tuple[Permission, ...] = ()
    """Fewer permissions than the role's."""
    days: float | None = Field(default=None, gt=0, le=36500)
    """It ends after so many; null: never."""
    rate: str | None = Field(default=None, max_length=64)
    """Such as 100/minute."""
    jobs_per_day: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """What it may hand in within a day, beside what the tenant may."""
    bytes_per_day: int | None = Field(default=None, ge=0, le=2**62)


class KeyMade(ApiKey):
    """The key, and its secret: shown this once."""

    secret: str


class KeyList(Frozen):
    """The tenant's keys, the oldest first."""

    keys: tuple[ApiKey, ...]


@router.post(
    "/keys",
    status_code=201,
    response_model=KeyMade,
    summary="Make a key",
    operation_id="create_key",
    responses=PROBLEMS,
)
def create(wanted: KeyWanted, found: WebServicesDep) -> JSONResponse:
    """The secret is in this answer and nowhere else: the database holds its hash."""
    if wanted.rate is not None:
        parse_rate(wanted.rate)
    key, secret = found.store.keys.create(
        tenant=found.actor.tenant,
        name=wanted.name,
        role=wanted.role,
        scopes=wanted.scopes,
        expires_at=expiry(wanted.days),
        rate=wanted.rate,
        quota=Quota(jobs=wanted.jobs_per_day, bytes=wanted.bytes_per_day),
        created_by=found.actor.id,
    )
    found.store.actions.add(
        found.actor.tenant, found.actor.id, "key.create", detail={"key": key.id}
    )
    made = KeyMade(**key.model_dump(), secret=secret)
    return JSONResponse(made.model_dump(mode="json"), status_code=201)


@router.get(
    "/keys",
    response_model=KeyList,
    summary="The keys there are",
    operation_id="list_keys",
    responses=PROBLEMS,
)
def index(found: WebServicesDep) -> KeyList:
    """Revoked and expired ones too; no secret."""
    return KeyList(keys=tuple(found.store.keys.listed(found.actor.tenant)))


@router.delete(
    "/keys/{key_id}",
    response_model=ApiKey,
    summary="Revoke a key",
    operation_id="revoke_key",
    responses=PROBLEMS,
)
def revoke(key_id: str, found: WebServicesDep, response: Response) -> ApiKey:
    """It stops working at once, and stays listed. Doing it twice changes nothing."""
    key = found.store.keys.revoke(key_id, found.actor.tenant)
    if key is None:
        raise InputError(
            f"no key {key_id!r}.", code=ReasonCode.NOT_FOUND, fix="GET /v1/keys lists them."
        )
    found.store.actions.add(
        found.actor.tenant, found.actor.id, "key.revoke", detail={"key": key.id}
    )
    return key
