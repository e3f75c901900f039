"""Moderators at work: a server with people who log in, judged videos, and a browser for each person."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from console.web.app import create_app
from tests.browser import Watched
from tests.integration.console.web.serving import serving
from unmask.messages import Submission
from unmask.policy import DEFAULT
from unmask.requests.job_details import JobDetails
from unmask.settings import Settings
from unmask.verdict import TrackPicture, Verdict
from workers.broker.connect import connect
from workers.jobs.orders.decide import record_due
from workers.store import Store
from workers.store.sql_tables import PENDING_DECISIONS

PEOPLE = {"kim": "moderator", "lee": "moderator", "ada": "senior"}


@dataclass(kw_only=True)
class Office:
    """A running server, closed to whoever has no key."""

    address: str
    store: Store
    settings: Settings
    secrets: dict[str, str]
    make_verdict: Callable[..., Verdict]
    made: int = 0

    def judged(
        self, name: str = "", *, tags: tuple[str, ...] = (), clip: str = "/m/a.mp4", **verdict: Any
    ) -> str:
        """The id of a judged video with its pictures."""
        self.made += 1
        job_id = f"{self.made:024x}"
        made = self.make_verdict(**verdict)
        shown = TrackPicture(
            frame_index=0, pts_ms=0, url="evidence/t1.jpg", box=(0.3, 0.2, 0.7, 0.8)
        )
        first, *others = made.tracks
        made = made.model_copy(
            update={"tracks": (first.model_copy(update={"picture": shown}), *others)}
        )
        sent = Submission(
            job_id=job_id, path=clip, filename=name or f"clip-{self.made}.mp4",
            plugins=made.rests_on, crop_scale=1.3,
        )  # fmt: skip
        details = JobDetails(tags=tags, external_id=f"post-{self.made}")
        self.store.create_job(sent, plugins=made.rests_on, policy=DEFAULT, details=details)
        folder = self.settings.data_dir / "evidence" / job_id / "0"
        folder.mkdir(parents=True)
        for number, item in enumerate(made.evidence):
            paint(folder / Path(item.face_url).name, self.made + number)
            paint(folder / Path(item.heatmap_url).name, 90 + number)
        paint(folder / "t1.jpg", self.made)
        assert self.store.save_verdict(job_id, 0, made)
        return job_id

    def record(self, job_id: str) -> bool:
        """As if the time to take its decision back were over; whether there was one."""
        over = update(PENDING_DECISIONS).where(PENDING_DECISIONS.c.job_id == job_id)
        with self.store._begin() as connection:
            connection.execute(over.values(due_at="2026"))
        return record_due(self.store) == 1

    @contextmanager
    def person(self, browser: Browser, name: str, **context: Any) -> Iterator[Watched]:
        """A browser of their own, logged in."""
        opened = browser.new_context(**context)
        watched = Watched(opened)
        watched.page.goto(f"{self.address}/login")
        watched.page.get_by_label("key").fill(self.secrets[name])
        watched.page.get_by_role("button", name="Log in").click()
        watched.page.wait_for_url(f"{self.address}/")
        yield watched
        opened.close()

    def begin(self, page: Page, title: str) -> str:
        """Take the queue's next video; its job's id."""
        page.goto(f"{self.address}/queues")
        page.get_by_role("button", name=f"Begin {title}").click()
        page.wait_for_url("**/jobs/*")
        page.locator("main[data-listens]").wait_for()
        return page.url.rpartition("/")[2]


def paint(path: Path, seed: int) -> None:
    """A face that is nobody's."""
    chance = np.random.default_rng(seed)
    picture = np.full((160, 160, 3), chance.integers(70, 190, 3), np.uint8)
    skin = tuple(int(c) for c in chance.integers(130, 235, 3))
    cv2.ellipse(picture, (80, 82), (44, 60), 0, 0, 360, skin, -1)
    for x in (63, 97):
        cv2.circle(picture, (x, 68), 6, (40, 40, 40), -1)
    cv2.ellipse(picture, (80, 110), (18, 7), 0, 0, 180, (60, 40, 140), -1)
    cv2.imwrite(str(path), picture)


@contextmanager
def running_office(
    folder: Path, make_verdict: Callable[..., Verdict], **changes: Any
) -> Iterator[Office]:
    """The server over SQLite and Redis, with a key for each of PEOPLE."""
    settings = Settings(data_dir=folder / "data", max_bytes=1 << 20, **changes)
    store = Store(settings.database())
    secrets = {
        name: store.keys.create(tenant="default", name=name, role=role, created_by="test")[1]  # type: ignore[arg-type]
        for name, role in PEOPLE.items()
    }
    secrets["boss"] = store.keys.create(
        tenant="default", name="boss", role="admin", created_by="test"
    )[1]
    with connect(settings) as broker:
        app = create_app(settings, store=store, redis=broker.redis, allowed_hosts=("127.0.0.1",))
        with serving(app, settings) as port:
            yield Office(
                address=f"http://127.0.0.1:{port}",
                store=store,
                settings=settings,
                secrets=secrets,
                make_verdict=make_verdict,
            )
    store.close()
