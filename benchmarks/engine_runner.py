"""One engine in its own process, run on request: the other half of engines.py.

    engine_runner.py PLUGIN ENGINE BATCH DATA_DIR THREADS

Prints one JSON line when ready (or with its `problem`), one for each "run" read from stdin, and one
with its peak memory for "stop".
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

from detect_plugins.catalogue import load_catalogue, load_detector
from unmask.errors import UnmaskError
from unmask.settings import Settings
from workers.engines.choose import build_unchecked
from workers.engines.parity import compare, fixed_crops, read_reference
from workers.engines.reference import recorded_reference


def main(plugin: str, engine_name: str, batch: int, data_dir: Path, threads: int) -> None:
    """Build one engine, compare it with the reference, then obey stdin."""
    torch.set_num_threads(threads)
    settings = Settings(data_dir=data_dir, batch_size=batch, threads=threads, device="cpu")
    name, precision = engine_name.removesuffix("-default-malloc").split("-")
    started = time.perf_counter()
    try:
        detector = load_detector(load_catalogue().get(plugin), settings.weights_dir, "cpu")
        serving = detector.serving()
        recorded = recorded_reference(detector, serving, device="cpu", settings=settings)
        reference = read_reference(recorded)
        engine = build_unchecked(name, precision, detector, device="cpu", settings=settings)
    except UnmaskError as error:
        print(json.dumps({"problem": str(error)}), flush=True)
        return
    side = detector.manifest.input_px
    scale = detector.card.heatmap_scale if detector.card is not None else 1.0
    got = engine.infer(fixed_crops(side))
    parity = compare(got, reference, precision=precision, heatmap_scale=scale)
    images = np.random.default_rng(0).random((batch, 3, side, side), dtype=np.float32)
    engine.infer(images)
    trained = detector.card is not None and detector.card.trained
    first = {"build_s": time.perf_counter() - started, "trained": trained, **parity.model_dump()}
    print(json.dumps(first), flush=True)
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        begun = time.perf_counter()
        engine.infer(images)
        print(json.dumps({"seconds": time.perf_counter() - begun}), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak_bytes": peak}), flush=True)


if __name__ == "__main__":
    key, engine, batch_size, folder, thread_count = sys.argv[1:6]
    main(key, engine, int(batch_size), Path(folder), int(thread_count))
