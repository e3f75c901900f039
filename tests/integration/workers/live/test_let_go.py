"""What a stream lets go of is gone, also where a scorer had it in hand and answers late."""

import secrets

import numpy as np
from redis import Redis

from detect_plugins.catalogue import load_catalogue
from tests.integration.workers.live.watching import settings
from tests.unit.workers.making import crop
from unmask import queues
from unmask.errors import ReasonCode
from unmask.messages import Reason, Submission
from unmask.plugin import FaceCrop
from workers.jobs.selection import select
from workers.live.score_link import ScoreLink
from workers.scoring.write_scores import record_failures

PIXELS = np.zeros((64, 64, 3), np.uint8)


def test_answers_that_come_after_a_crop_was_let_go_do_not_stay(site: object, redis: Redis) -> None:
    catalogue, given = load_catalogue(), settings(crop_store="redis")
    chosen = select(catalogue, given)
    submission = Submission(
        job_id=f"stream-{secrets.token_hex(4)}", path="s", filename="s",
        plugins=chosen.scoring, crop_scale=chosen.crop_scale,
    )  # fmt: skip
    link = ScoreLink(redis, given, catalogue, submission)
    metas = [crop(number) for number in range(3)]
    for meta in metas:
        cut = FaceCrop(pixels=PIXELS, box=meta.box, crop_to_frame=meta.crop_to_frame)
        link.publish([(meta, cut)])
    job, (ref,) = (submission.job_id, submission.generation), submission.plugins
    late = queues.failures(*job, ref.slug)
    link.let_go([metas[0].key])
    # A scorer read it before: it writes what became of it now.
    record_failures(
        redis, job, ref.slug, [metas[0].key], Reason(code=ReasonCode.INTERNAL, message="late")
    )
    assert redis.hlen(late) == 1
    link.let_go([metas[1].key])
    assert redis.hlen(late) == 0
    assert redis.xlen(queues.CROPS) == 1
    assert redis.hkeys(queues.published(*job)) == [metas[2].key.encode()]
    # What is owed is the one that is left.
    assert redis.hget(queues.OWED, ref.slug) == b"1"
