"""A platform's own backend: it takes an upload, has Unmask judge it, and answers when it knows.

UNMASK_SERVER=http://127.0.0.1:8080 uvicorn web_backend:app --app-dir examples

Needs the client's distribution alone (deploy/client), and FastAPI for the backend itself.
"""

import hashlib
import os
import shutil
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, UploadFile

import unmask

app = FastAPI(title="A platform")
client = unmask.Client(os.environ.get("UNMASK_SERVER", "http://127.0.0.1:8080"))
waiting = ThreadPoolExecutor(max_workers=4, thread_name_prefix="verdict")
#: In a real backend this is a table: video -> what Unmask said of it.
verdicts: dict[str, Future[unmask.Verdict]] = {}


@app.post("/videos", status_code=202)
def post_video(file: UploadFile) -> dict[str, str]:
    """Hand the video on. The same bytes twice are one job: the key is their hash."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(file.filename or "video").name
        with path.open("wb") as kept:
            shutil.copyfileobj(file.file, kept)
        key = hashlib.sha256(path.read_bytes()).hexdigest()
        job = client.submit(path, idempotency_key=key)
    if job["id"] not in verdicts:
        verdicts[job["id"]] = waiting.submit(client.wait, job["id"], 3600.0)
    return {"id": job["id"]}


@app.get("/videos/{video}")
def get_video(video: str) -> dict[str, Any]:
    """May it be shown? Only a person decides; a verdict orders the queue of what people look at."""
    if video not in verdicts:
        raise HTTPException(404, "no such video")
    found = verdicts[video]
    if not found.done():
        return {"state": "waiting"}
    try:
        verdict = found.result()
    except unmask.UnmaskError as error:
        return {"state": "not judged", "why": str(error), "code": error.code.value}
    held = verdict.verdict in {unmask.VerdictLabel.FAKE, unmask.VerdictLabel.SUSPICIOUS}
    return {"state": "held for review" if held else "shown", "p_fake": verdict.p_fake}
