"""Which paths on the server a client may name."""

from collections.abc import Sequence
from pathlib import Path

from unmask.errors import ConfigError, InputError, ReasonCode


def allowed_path(text: str, roots: Sequence[Path]) -> Path:
    """The real path of `text`, once every link and `..` is followed, if it lies under a root.

    The resolved path is what is used afterwards, so a link changed later leads nowhere else. A
    path outside and a path that does not exist get the same answer: no probing of the disk.
    """
    if not roots:
        raise ConfigError(
            "this server takes no paths.",
            fix="Upload the file, or have UNMASK_MEDIA_ROOTS name the folders it may read from.",
        )
    refused = InputError(
        f"no video at {text!r} under the folders this server reads from.",
        code=ReasonCode.NOT_FOUND,
        fix="Give an absolute path under one of UNMASK_MEDIA_ROOTS, or upload the file.",
    )
    path = Path(text)
    if "\0" in text or not path.is_absolute():
        raise refused
    try:
        real = path.resolve(strict=True)
        inside = any(real.is_relative_to(root.resolve()) for root in roots)
    except (OSError, RuntimeError) as error:
        raise refused from error
    if not inside or not real.is_file():
        raise refused
    return real
