"""Fixtures every test may use."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The research data beside the checkout; its tests skip where it is absent."""
    if not (SHARED_DATA / "MANIFEST.csv").is_file():
        pytest.skip(f"research data absent: no {SHARED_DATA}/MANIFEST.csv")
    return SHARED_DATA
