"""The process that decodes a stream: `python -m ingest.live.decoder SOCKET`. It owns no socket but ours.

Packets come in, sampled frames go out. It has the locks of the file decoder: no network, no file.
"""

import socket
import sys

from ingest.live.wire import Wire, WireBroken
from ingest.sandbox.confine import confine, seal
from unmask.system.memory import GivesBack

_MAX_PACKET = 64 << 20


def main() -> None:
    """Decode what comes until the socket closes."""
    wire = Wire(socket.socket(fileno=int(sys.argv[1])), _MAX_PACKET)
    try:
        job, _ = wire.receive()
        held = confine(job["memory_bytes"], cpu_seconds=None)
        from ingest.live.sampled_decode import SampledDecode, warm_up  # noqa: PLC0415

        warm_up()
        give_back = GivesBack()
        held += seal()
        wire.send({"kind": "held", "held": held})
        decode = SampledDecode(job["max_pixels"], job["every_ms"])
        while True:
            message, payload = wire.receive()
            for frame in decode.take(message, payload):
                wire.send(*frame)
            give_back()
            if message["kind"] == "flush":
                wire.send({"kind": "flushed"})
    except WireBroken:
        sys.exit(0)
    except MemoryError:
        wire.send({"kind": "failed", "message": "decoding needs more memory than it may have."})
    except Exception as error:
        wire.send({"kind": "failed", "message": f"the decoder failed ({type(error).__name__})."})


if __name__ == "__main__":
    main()
