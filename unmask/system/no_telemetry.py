"""Keeps the inference libraries from reporting home, which both do unasked.

Whoever moderates other people's videos must not tell third parties what runs on them, and a thread that
looks for a server that a closed network hides is one more thing to go wrong in a worker. Called before any
of the libraries is imported; each reads its switch once, when it is loaded.
"""

import os
import sys


def silence() -> None:
    """Switch off the reports of ONNX Runtime, OpenVINO's converter and NNCF.

    ONNX Runtime, from 1.29, uploads sessions, model names and hashes to Microsoft from a thread of its
    own, and keeps a device id and a database in the user's cache folder. A variable that is set already
    stands. OpenVINO and NNCF report to Google Analytics through `openvino_telemetry`, which knows no
    switch but a file in the home folder; without that package both fall back to stubs of their own.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # None makes `import openvino_telemetry` fail as if the package were not installed.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
