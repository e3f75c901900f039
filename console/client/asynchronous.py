"""The same client for programs that await: each call in a thread of its own, the loop stays free."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from console.client.client import Client
from console.client.shapes import Decision, Job, Receipt
from unmask.verdict import Verdict

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class AsyncClient:
    """Awaits what Client does; `AsyncClient(Client("http://127.0.0.1:8080"))`."""

    client: Client

    async def submit(self, path: Path, **options: Any) -> Job:
        """As Client.submit."""
        return await asyncio.to_thread(self.client.submit, path, **options)

    async def submit_url(self, url: str, **options: Any) -> Job:
        """As Client.submit_url."""
        return await asyncio.to_thread(self.client.submit_url, url, **options)

    async def job(self, job_id: str, *, wait_s: float = 0) -> Job:
        """As Client.job."""
        return await asyncio.to_thread(self.client.job, job_id, wait_s=wait_s)

    async def jobs(self, **filters: Any) -> AsyncIterator[Job]:
        """As Client.jobs."""
        async for job in _awaited(self.client.jobs(**filters)):
            yield job

    async def verdict(self, job_id: str, *, generation: int | None = None) -> Verdict:
        """As Client.verdict."""
        return await asyncio.to_thread(self.client.verdict, job_id, generation=generation)

    async def wait(self, job_id: str, timeout_s: float | None = None) -> Verdict:
        """As Client.wait."""
        return await asyncio.to_thread(self.client.wait, job_id, timeout_s)

    async def cancel(self, job_id: str) -> Job:
        """As Client.cancel."""
        return await asyncio.to_thread(self.client.cancel, job_id)

    async def rerun(self, job_id: str, **options: Any) -> Job:
        """As Client.rerun."""
        return await asyncio.to_thread(self.client.rerun, job_id, **options)

    async def erase(self, job_id: str) -> Receipt:
        """As Client.erase."""
        return await asyncio.to_thread(self.client.erase, job_id)

    async def decide(self, job_id: str, finding: str, **said: Any) -> Decision:
        """As Client.decide."""
        return await asyncio.to_thread(self.client.decide, job_id, finding, **said)

    async def decisions(self, after: int = 0) -> AsyncIterator[Decision]:
        """As Client.decisions."""
        async for decision in _awaited(self.client.decisions(after)):
            yield decision


async def _awaited(items: Iterator[_Item]) -> AsyncIterator[_Item]:
    end = object()
    while (item := await asyncio.to_thread(next, items, end)) is not end:
        yield item  # type: ignore[misc]
