"""What the decoding process loads: it starts anew for each video, so what it does not need costs."""

import subprocess
import sys


def test_the_decoder_loads_neither_pydantic_nor_opencv_nor_a_broker():
    code = (
        "import sys\n"
        "from ingest.sandbox import decode_job\n"
        "decode_job.import_everything()\n"
        "heavy = {'pydantic', 'cv2', 'redis', 'structlog', 'torch', 'openvino'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    made = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False
    )
    assert (made.stdout.strip(), made.stderr) == ("[]", "")
