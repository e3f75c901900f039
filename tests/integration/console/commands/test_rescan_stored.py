"""Which media of a service's own jobs `unmask rescan --stored` judges anew, and what it compares with."""

from pathlib import Path

from console.commands.scanning.rescan import Stored
from tests.unit.workers.making import REF, closed, result, scores
from unmask.messages import Submission
from unmask.policy import DEFAULT
from unmask.requests.job_details import DEFAULT_TENANT
from workers.store import Store
from workers.verdicts.aggregate import aggregate


def _judged(store: Store, job_id: str, path: Path | str, *, tenant: str = DEFAULT_TENANT) -> None:
    submission = Submission(
        job_id=job_id, path=str(path), filename="clip.mp4", plugins=(REF,), crop_scale=1.3
    )
    store.create_job(submission, plugins=(REF,), policy=DEFAULT, tenant=tenant)
    found = scores([0.1] * 5)
    verdict = aggregate(closed({1: 5}), [result(found)], DEFAULT)
    assert store.save_verdict(job_id, 0, verdict, found)


def test_kept_media_of_one_tenants_judged_jobs_comes_with_the_earlier_label(
    database_url: str, tmp_path: Path
) -> None:
    media = tmp_path / "clip.mp4"
    media.write_bytes(b"media")
    store = Store(database_url)
    for number in range(203):  # more than a page
        _judged(store, f"job-{number:03}", media)
    _judged(store, "gone", tmp_path / "deleted.mp4")
    _judged(store, "fetched", "https://example.com/clip.mp4")
    _judged(store, "others", media, tenant="other")
    waiting = Submission(
        job_id="waiting", path=str(media), filename="a", plugins=(REF,), crop_scale=1.3
    )
    store.create_job(waiting, plugins=(REF,), policy=DEFAULT)
    stored = Stored(store, DEFAULT_TENANT, done=frozenset({"job-007"}))
    names = [str(found.shown) for found in stored]
    store.close()
    assert sorted(names) == [f"job-{n:03}" for n in range(203) if n != 7]
    assert stored.gone == 2
    assert stored.before.keys() == set(names)
    assert set(stored.before.values()) == {"no_sign_found"}
