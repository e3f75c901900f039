"""Webhooks against receivers that are down, failing, slow or hostile: every event arrives."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from ingest.fetching.addresses import Allowance
from tests.receiver import Receiver, receiving
from unmask.system import instruments as metrics
from workers.jobs.deliver import Deliverer
from workers.store import Store

TENANT = "acme"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{tmp_path / 'unmask.sqlite3'}")
    yield found
    found.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


class Clock:
    """Time that a test moves."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


def _deliverer(store: Store, redis: Redis, *ports: int, **changes: object) -> Deliverer:
    private = tuple(f"127.0.0.1:{port}" for port in ports)
    return Deliverer(
        store=store,
        redis=redis,
        allowance=Allowance(private=private),
        spread=lambda: 0.0,
        **changes,  # type: ignore[arg-type]
    )


def _write(store: Store, job: str = "j", count: int = 1) -> None:
    for number in range(count):
        store.outbox.write(TENANT, "job.succeeded", job, {"job_id": job, "n": number})


def test_an_event_arrives_signed_and_is_listed(
    store: Store, redis: Redis, receiver: Receiver
) -> None:
    webhook, secret = store.webhooks.create(TENANT, receiver.url, ())
    store.webhooks.create("another", receiver.url, ())
    store.webhooks.create(TENANT, receiver.url, ("decision.made",))
    _write(store)
    deliverer = _deliverer(store, redis, receiver.port)
    assert deliverer.deliver_due() == 1
    assert deliverer.deliver_due() == 0
    taken = metrics.WEBHOOK_ATTEMPTS.labels(outcome="taken")._value.get()
    assert taken >= 1
    ((headers, body),) = receiver.taken
    content = Verifier(secret).verify(body, headers)
    assert content["type"] == "job.succeeded"
    assert content["data"] == {"job_id": "j", "n": 0, "event_number": 1}
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(body + b" ", headers)
    (attempt,) = store.webhooks.attempts(TENANT, webhook.id)
    assert (attempt.status, attempt.error) == (200, "")
    assert attempt.event_id == headers["webhook-id"]


def test_a_stream_webhook_gets_stream_events_alone(
    store: Store, redis: Redis, receiver: Receiver
) -> None:
    store.webhooks.create(TENANT, receiver.url, ("stream.*",))
    _write(store)
    store.outbox.write(TENANT, "stream.verdict", "s", {})
    assert _deliverer(store, redis, receiver.port).deliver_due() == 1
    assert [body["type"] for body in receiver.bodies] == ["stream.verdict"]


def test_after_a_rotation_both_secrets_verify_for_a_day(
    store: Store, redis: Redis, receiver: Receiver
) -> None:
    webhook, old = store.webhooks.create(TENANT, receiver.url, ())
    new = store.webhooks.rotate(TENANT, webhook.id)
    _write(store)
    deliverer = _deliverer(store, redis, receiver.port)
    deliverer.deliver_due()
    ((headers, body),) = receiver.taken
    for secret in (old, new):
        Verifier(secret).verify(body, headers)
    later = datetime.now(UTC) + timedelta(hours=25)
    _write(store)
    (due,) = store.webhooks.due(later)
    assert due.secrets == (new,)


def test_a_receiver_that_is_down_for_an_hour_misses_nothing(store: Store, redis: Redis) -> None:
    clock = Clock(datetime.now(UTC))
    with receiving() as found:
        port = found.port
    webhook, secret = store.webhooks.create(TENANT, f"http://127.0.0.1:{port}/", ())
    for job in ("a", "b"):
        _write(store, job, 3)
    deliverer = _deliverer(store, redis, port, clock=clock)
    down_until = clock.moment + timedelta(hours=1)
    tries = 0
    while clock.moment < down_until:
        tries += deliverer.deliver_due()
        clock.moment += timedelta(seconds=30)
    assert 6 <= tries <= 40, "it backs off"
    with receiving(port) as receiver:
        up_until = clock.moment + timedelta(hours=3)
        while clock.moment < up_until and len(receiver.taken) < 6:
            deliverer.deliver_due()
            clock.moment += timedelta(minutes=5)
        numbers: dict[str, list[int]] = {"a": [], "b": []}
        for body in receiver.bodies:
            numbers[body["data"]["job_id"]].append(body["data"]["event_number"])
    assert numbers == {"a": [1, 2, 3], "b": [1, 2, 3]}
    listed = store.webhooks.attempts(TENANT, webhook.id, 500)
    assert sum(bool(a.error) for a in listed) == tries
    assert secret not in "".join(a.error for a in listed)


def test_a_day_of_failure_is_the_end_until_somebody_asks_for_it_again(
    store: Store, redis: Redis, receiver: Receiver
) -> None:
    clock = Clock(datetime.now(UTC))
    webhook, _ = store.webhooks.create(TENANT, receiver.url, ())
    _write(store)
    receiver.answer = 500
    deliverer = _deliverer(store, redis, receiver.port, clock=clock)
    for _ in range(26 * 6):
        deliverer.deliver_due()
        clock.moment += timedelta(minutes=10)
    first = store.webhooks.attempts(TENANT, webhook.id, 500)
    assert {a.status for a in first} == {500}
    tried = [datetime.fromisoformat(a.created_at) for a in first]
    assert timedelta(hours=20) < max(tried) - min(tried) <= timedelta(hours=24)
    receiver.answer = 200
    assert deliverer.deliver_due() == 0, "given up"
    assert store.webhooks.replay(TENANT, webhook.id, datetime(2026, 1, 1, tzinfo=UTC)) == 1
    assert deliverer.deliver_due() == 1
    assert len(receiver.taken) == 1


def test_a_slow_receiver_is_a_failure_and_holds_up_no_other(
    store: Store, redis: Redis, receiver: Receiver
) -> None:
    receiver.answer = "slow"
    slow, _ = store.webhooks.create(TENANT, receiver.url, ())
    with receiving() as quick:
        store.webhooks.create(TENANT, quick.url, ())
        _write(store, count=3)
        deliverer = _deliverer(store, redis, receiver.port, quick.port, answer_s=0.5)
        deliverer.deliver_due()
        deliverer.deliver_due()
        deliverer.deliver_due()
        assert len(quick.taken) == 3
    (attempt,) = store.webhooks.attempts(TENANT, slow.id)
    assert attempt.status is None and "Timeout" in attempt.error


def test_nothing_goes_inside(store: Store, redis: Redis, receiver: Receiver) -> None:
    """Neither by address, nor by a name that leads there, nor by a redirect."""
    with receiving() as inside:
        receiver.answer, receiver.location = 302, inside.url
        urls = [
            receiver.url,
            inside.url,
            f"https://127.0.0.1:{inside.port}/",
            f"https://localhost:{inside.port}/",
            f"http://[::1]:{inside.port}/",
            f"https://2130706433:{inside.port}/",
            "http://169.254.169.254/latest/meta-data/",
        ]
        for url in urls:
            store.webhooks.create(TENANT, url, ())
        _write(store)
        assert _deliverer(store, redis, receiver.port).deliver_due() == len(urls)
        assert receiver.asked == 1
        assert inside.asked == 0
    for webhook in store.webhooks.listed(TENANT):
        (attempt,) = store.webhooks.attempts(TENANT, webhook.id)
        assert attempt.error
        assert (attempt.status == 302) == (webhook.url == receiver.url)


#: Imports once, then forks a delivering process for each line it is sent, and names it.
_RUN = """
import os, sys, threading
from redis import Redis
from ingest.fetching.addresses import Allowance
from workers.jobs.deliver import Deliverer
from workers.store import Store
url, redis, port = sys.argv[1:]
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        Deliverer(
            store=Store(url), redis=Redis.from_url(redis), lease_s=1.0,
            allowance=Allowance(private=("127.0.0.1:" + port,)),
        ).run(threading.Event(), 0.05)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_delivering_process_killed_twenty_times_loses_nothing(
    store: Store, redis_url: str, receiver: Receiver
) -> None:
    _, secret = store.webhooks.create(TENANT, receiver.url, ())
    jobs = [f"job{number}" for number in range(30)]
    for job in jobs:
        _write(store, job, 4)
    wanted = {(job, number) for job in jobs for number in range(1, 5)}
    repository = Path(__file__).resolve().parents[4]
    chance, kills = random.Random(3), 0
    parent = subprocess.Popen(
        [sys.executable, "-c", _RUN, store.url, redis_url, str(receiver.port)],
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None and parent.stdout is not None
    deadline = time.monotonic() + 300
    while kills < 20 or {_mark(body) for body in receiver.bodies} != wanted:
        assert time.monotonic() < deadline, len(receiver.taken)
        seen = len(receiver.taken)
        parent.stdin.write("\n")
        parent.stdin.flush()
        child = int(parent.stdout.readline())
        # In the middle of its work: a few events after it began, at any moment.
        few = 3 if kills < 20 else 1000
        while len(receiver.taken) <= seen + few and time.monotonic() < deadline:
            if {_mark(body) for body in receiver.bodies} == wanted:
                break
            time.sleep(0.005)
        time.sleep(chance.random() * 0.02)
        os.kill(child, signal.SIGKILL)
        kills += 1
    parent.stdin.close()
    parent.wait(timeout=60)
    parent.stdout.close()
    order: dict[str, list[int]] = {}
    ids: dict[str, tuple[str, int]] = {}
    for headers, body in receiver.taken:
        content = Verifier(secret).verify(body, headers)
        mark = _mark(content)
        assert ids.setdefault(headers["webhook-id"], mark) == mark, "repeats carry the same id"
        if mark[1] not in order.setdefault(mark[0], []):
            order[mark[0]].append(mark[1])
    assert set(map(tuple, order.values())) == {(1, 2, 3, 4)}


def _mark(body: dict[str, dict[str, object]]) -> tuple[str, int]:
    return str(body["data"]["job_id"]), int(str(body["data"]["event_number"]))
