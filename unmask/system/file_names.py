"""Names of files in any bytes, as messages carry them. Unix names are bytes, JSON is text.

Python reads a byte that is no UTF-8 as a lone surrogate, which no JSON and no database can hold.
"""

import os
from typing import Annotated
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pydantic import BeforeValidator, PlainSerializer


def _written(path: str) -> str:
    """A path of any bytes as text that JSON can hold: an address where UTF-8 cannot."""
    try:
        path.encode()
    except UnicodeEncodeError:
        # A surrogate that stands for no byte is the name of no file, and may be lost.
        return "file://" + quote_from_bytes(path.encode("utf-8", "surrogateescape"))
    return path


def _read(path: object) -> object:
    if isinstance(path, str) and path.startswith("file:///"):
        return os.fsdecode(unquote_to_bytes(path.removeprefix("file://")))
    return path


def _readable(name: object) -> object:
    """A name of any bytes as people can read it: what is no letter becomes U+FFFD."""
    if not isinstance(name, str):
        return name
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in name)


#: A path that is opened: in JSON an address (file://...) where it is no text.
AnyPath = Annotated[str, BeforeValidator(_read), PlainSerializer(_written, when_used="json")]
#: A name that is shown and never opened.
ShownName = Annotated[str, BeforeValidator(_readable)]
