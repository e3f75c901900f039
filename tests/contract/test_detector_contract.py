"""Every plugin of the catalogue keeps the contract, and so does the example of a third party."""

from collections.abc import Iterator
from typing import ClassVar

import pytest
import torch

from detect_plugins.catalogue import load_catalogue, load_class, load_detector
from unmask.plugin import Detector
from unmask.testing import DetectorContract, enliven


@pytest.fixture(scope="module", autouse=True)
def two_threads() -> Iterator[None]:
    """The machine is shared with other test runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class BuiltIn(DetectorContract):
    """A plugin of this repository, with random weights and its default architecture."""

    key: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def detector(cls) -> Detector:
        entry = load_catalogue().get(cls.key)
        return enliven(load_class(entry).load(entry.require_manifest(), None, "cpu"))


@pytest.mark.slow
class TestSola(BuiltIn):
    key = "sola"


@pytest.mark.slow
class TestLrl(BuiltIn):
    key = "lrl"


@pytest.mark.slow
class TestLlsm(BuiltIn):
    key = "llsm"


@pytest.mark.slow
class TestFocus(BuiltIn):
    key = "focus"


@pytest.mark.slow
class TestEfficientNetFpn(BuiltIn):
    key = "efficientnet_fpn"


class TestGeneratedFaces(BuiltIn):
    key = "generated_faces"


SHIPPED = [e.key for e in load_catalogue().working() if e.bundle_folder(None) is not None]


@pytest.mark.slow
class TestShippedBundle(DetectorContract):
    """The same for every bundle that ships with a plugin, as it ships."""

    @pytest.fixture(scope="class", params=SHIPPED)
    @classmethod
    def detector(cls, request: pytest.FixtureRequest) -> Detector:
        return load_detector(load_catalogue().get(request.param), None, "cpu")


def test_the_catalogue_holds_no_plugin_that_the_contract_does_not_cover() -> None:
    entries = load_catalogue().entries
    own = {e.key for e in entries if e.package.split(".")[0] == "detect_plugins"}
    assert own == {one.key for one in BuiltIn.__subclasses__()}
