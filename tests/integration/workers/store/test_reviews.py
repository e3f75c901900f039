"""Queues in the database: their rules, who holds what, undo, and the plan of what is asked often."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, select, text, update

from tests.integration.workers.store.many_jobs import fill
from unmask.requests.review_rules import DEFAULT, QueueRule
from unmask.verdict import VerdictLabel
from unmask.verdict.decision import DecisionGiven
from workers.jobs.orders.decide import decide, decide_later, record_due
from workers.store import Store
from workers.store.pages.job_search import JobQuery
from workers.store.review import queue_sql
from workers.store.review.queue_sql import ago
from workers.store.review.review_rows import slot
from workers.store.review.review_table import Holder
from workers.store.sql_tables import PENDING_DECISIONS, REVIEWS, VERDICTS

COUNT = 1000
KIM, LEE = Holder("key:kim", "kim"), Holder("key:lee", "lee")
FORGED = DEFAULT.queue("forged")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('db') / 'unmask.sqlite3'}"
    else:
        new: Callable[[], str] = request.getfixturevalue("new_postgres_database")
        url = new()
    found = Store(url)
    fill(url, COUNT, analyzed=request.param != "sqlite")
    yield found
    found.close()


def _every(store: Store, rule: QueueRule) -> list[str]:
    return [r.job_id for r in store.reviews.page("default", rule, offset=0, limit=COUNT)]


def test_a_queue_holds_what_its_rules_say_by_risk_and_age(store: Store) -> None:
    rules = QueueRule(
        name="x", title="X", verdicts=(VerdictLabel.FAKE, VerdictLabel.SUSPICIOUS), p_min=0.5,
        p_max=0.9, tag="upload", older_than_hours=1,
    )  # fmt: skip
    wanted = [
        row
        for label in ("fake", "suspicious")
        for row in store.search.page(
            JobQuery(verdict=VerdictLabel(label), decided=False, p_min=0.5, p_max=0.9, limit=500)
        ).jobs
    ]
    assert len(wanted) > 10
    by_risk = sorted(
        wanted,
        key=lambda r: (10 - int(r.headline.p_fake * 10), r.created_at),  # type: ignore[union-attr,operator]
    )
    assert _every(store, rules) == [row.id for row in by_risk]
    found = store.reviews.counts("default", [rules])["x"]
    assert (found.videos, found.oldest) == (len(wanted), min(row.created_at for row in wanted))
    assert store.reviews.counts("other", [rules])["x"] == (0, None)
    assert _every(store, rules.model_copy(update={"newer_than_hours": 0.5})) == []
    assert _every(store, rules.model_copy(update={"source": "key:x"})) == []
    assert _every(store, rules.model_copy(update={"kind": "pasted"})) == []


def test_a_sample_is_the_same_for_everybody_and_for_ever(store: Store) -> None:
    whole = QueueRule(name="x", title="X", verdicts=(VerdictLabel.NO_SIGN_FOUND,))
    part = whole.model_copy(update={"share": 0.1})
    everything, sample = _every(store, whole), _every(store, part)
    assert set(sample) == {job_id for job_id in everything if slot(job_id) < 0.1}
    assert 0.04 < len(sample) / len(everything) < 0.2


def test_of_many_who_ask_at_once_each_gets_a_video_of_their_own(store: Store) -> None:
    def ask(number: int) -> str | None:
        return store.reviews.claim_next("default", FORGED, Holder(f"key:{number}", "x"), DEFAULT)

    waiting = len(_every(store, FORGED))
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(ask, range(waiting + 3)))
    assert got.count(None) == 3
    assert len({job_id for job_id in got if job_id}) == waiting
    for number, job_id in enumerate(got):
        store.reviews.release(job_id or "", f"key:{number}")


def test_a_lease_ends_and_whoever_comes_back_first_has_it(store: Store) -> None:
    job_id = store.reviews.claim_next("default", FORGED, KIM, DEFAULT) or ""
    assert store.reviews.claim_next("default", FORGED, KIM, DEFAULT) == job_id
    assert not store.reviews.hold(job_id, "forged", LEE, DEFAULT, take=True)
    with store._begin() as connection:
        over = update(REVIEWS).where(REVIEWS.c.job_id == job_id)
        connection.execute(over.values(held_until=ago(seconds=1)))
    assert store.reviews.hold(job_id, "forged", KIM, DEFAULT)
    store.reviews.leave(job_id, KIM.actor)
    assert store.reviews.claim_next("default", FORGED, LEE, DEFAULT) == job_id
    assert not store.reviews.hold(job_id, "forged", KIM, DEFAULT)
    store.reviews.skip(job_id, LEE.actor, "not my language")
    assert store.reviews.claim_next("default", FORGED, LEE, DEFAULT) != job_id
    assert store.reviews.claim_next("default", FORGED, KIM, DEFAULT) == job_id
    store.reviews.release(job_id, KIM.actor)


def test_a_decision_is_recorded_once_by_whoever_tries(store: Store, make_verdict: Callable) -> None:  # type: ignore[type-arg]
    job_id = _every(store, FORGED)[-1]
    with store._begin() as connection:  # `many_jobs` judges nothing
        connection.execute(
            VERDICTS.insert().values(
                job_id=job_id, generation=0, label="fake", p_fake=0.9, media_sha256="a" * 64,
                verdict=make_verdict().model_dump_json(), created_at=ago(),
            )
        )  # fmt: skip
    given = DecisionGiven(finding="fake", moderator="kim", reasons=("Flicker",))

    def later(undo_s: float) -> bool:
        return decide_later(
            store, job_id, given, actor=KIM.actor, is_known=True, queue="forged", settles=False,
            undo_s=undo_s,
        )  # fmt: skip

    assert later(60)
    assert job_id not in _every(store, FORGED)
    assert not later(60), "nobody decides twice"
    assert store.pending.take_back(job_id, LEE.actor) is None
    assert store.pending.take_back(job_id, KIM.actor) is not None
    assert job_id in _every(store, FORGED)
    assert later(0)
    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(lambda _: record_due(store), range(6))) == 1
    (made,) = store.decisions.of(job_id)
    assert (made.finding, made.reasons, made.actor) == ("fake", ("Flicker",), KIM.actor)
    review = store.reviews.get(job_id)
    assert review is not None and review.lane == "done"
    decide(store, job_id, given.model_copy(update={"finding": "real", "moderator": "lee"}))
    review = store.reviews.get(job_id)
    assert review is not None
    assert (review.lane, review.why) == ("senior", ("moderators_differ", "overturned"))
    with store._begin() as connection:
        assert connection.execute(select(PENDING_DECISIONS)).all() == []


@pytest.mark.parametrize("rule", [*DEFAULT.queues], ids=lambda rule: rule.name)
def test_a_queue_is_counted_from_its_index_and_read_in_its_order(
    store: Store, rule: QueueRule
) -> None:
    engine = create_engine(store.url)
    rows = select(REVIEWS).where(*queue_sql.waiting("default", rule))
    rows = rows.order_by(*queue_sql.order(rule)).limit(51)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))
        plans = []
        for asked in (queue_sql.count("default", rule), rows):
            words = str(asked.compile(engine, compile_kwargs={"literal_binds": True}))
            explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
            plans.append(str(connection.execute(text(explain + words)).all()))
    engine.dispose()
    assert all("ix_reviews_queue" in plan for plan in plans), plans
    if "sqlite" in store.url:
        assert "COVERING INDEX" in plans[0], plans
        assert "TEMP B-TREE" not in plans[1] or rule.senior, plans
    else:
        assert "Seq Scan" not in plans[0], plans
