"""`unmask models fetch`: the one command that downloads."""

from rich.console import Console

from ingest.faces import fetch_retinaface
from unmask.errors import ConfigError
from unmask.settings import Settings


def run_fetch(name: str, settings: Settings) -> None:
    """Fetch the weights of the face detector `name`. Raises ConfigError."""
    if name != "retinaface":
        raise ConfigError(f"nothing named {name!r} to fetch.", fix="unmask models fetch retinaface")
    console = Console()
    with console.status("Fetching RetinaFace's weights from its authors' release page ..."):
        path = fetch_retinaface(settings)
    console.print(f"{path}", highlight=False)
    console.print("UNMASK_FACE_DETECTOR=auto uses it from now on.")
