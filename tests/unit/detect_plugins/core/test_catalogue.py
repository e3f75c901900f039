"""The catalogue finds plugins without running them, and shows the broken ones with their cause."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from detect_plugins.catalogue import Catalogue, load_catalogue, load_class, load_detector
from unmask.errors import BundleRefused, PluginBroken

MANIFEST = """
key = "{key}"
title = "A plugin"
version = "0.1"
summary = "Does nothing."
input_px = 32
crop_scale = 1.2
parameters = 1
gmacs = 0.1
detector = "{module}:Detector"
[paper]
title = "T"
authors = "A"
venue = "V"
year = 2020
[map]
kind = "cam"
height = 1
width = 1
caption = "Nothing."
[licences]
code = "MIT"
"""

Make = Callable[..., EntryPoint]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes an importable package with a manifest, and the entry point that names it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(
        package: str,
        *,
        key: str | None = None,
        manifest: str | None = MANIFEST,
        init: str = "",
        distribution: str | None = None,
    ) -> EntryPoint:
        folder = tmp_path.joinpath(*package.split("."))
        folder.mkdir(parents=True)
        for parent in (folder, *folder.parents):
            if parent == tmp_path:
                break
            (parent / "__init__.py").write_text(init)
        name = key or package.rpartition(".")[2]
        if manifest is not None:
            (folder / "manifest.toml").write_text(manifest.format(key=name, module=package))
        point = EntryPoint(name, package, "unmask.detectors")
        if distribution is None:
            return point
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        vars(point)["dist"] = Distribution.at(info)
        return point

    return make


def cause(catalogue: Catalogue, key: str) -> str:
    entry = catalogue.get(key)
    assert entry in catalogue.broken()
    return str(entry.error)


def test_listing_the_plugins_imports_no_torch_and_takes_well_under_a_second() -> None:
    code = (
        "import sys, time; from detect_plugins.catalogue import load_catalogue\n"
        "start = time.process_time(); c = load_catalogue(); took = time.process_time() - start\n"
        "heavy = {'torch', 'cv2', 'timm', 'detect_plugins.sola.detector'} & set(sys.modules)\n"
        "print(took < 0.5, sorted(heavy), c.get('sola').card(None) is not None or 'no card')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(" ", 2)[:2] == ["True", "[]"], done.stdout


def test_the_five_built_in_plugins_are_found_through_the_same_door() -> None:
    keys = {entry.key for entry in load_catalogue().entries}
    assert keys >= {"sola", "lrl", "llsm", "focus", "efficientnet_fpn"}


def test_no_line_of_a_plugin_runs_while_it_is_listed(plugin: Make) -> None:
    catalogue = load_catalogue([plugin("outer.inner", init="raise RuntimeError('it ran')")])
    assert [entry.key for entry in catalogue.working()] == ["inner"]
    assert "outer" not in sys.modules


def test_a_package_without_a_manifest_is_listed_with_its_cause(plugin: Make) -> None:
    assert "no readable manifest.toml" in cause(
        load_catalogue([plugin("bare", manifest=None)]), "bare"
    )


def test_a_manifest_that_is_not_toml_is_listed_with_its_cause(plugin: Make) -> None:
    catalogue = load_catalogue([plugin("scrawl", manifest="key = "), plugin("fine")])
    assert "is not TOML" in cause(catalogue, "scrawl")
    assert [entry.key for entry in catalogue.working()] == ["fine"]


def test_a_manifest_with_a_missing_field_names_it(plugin: Make) -> None:
    catalogue = load_catalogue([plugin("partial", manifest='key = "partial"\n')])
    assert "title: Field required" in cause(catalogue, "partial")


def test_an_entry_point_and_a_manifest_must_agree_on_the_key(plugin: Make) -> None:
    point = plugin("right")
    renamed = EntryPoint("wrong", point.value, point.group)
    assert "its manifest says key = 'right'" in cause(load_catalogue([renamed]), "wrong")


@pytest.mark.parametrize("package", ["no_such_package", "json.no_such_part", "csv"])
def test_an_entry_point_to_nowhere_is_listed_with_its_cause(package: str) -> None:
    catalogue = load_catalogue([EntryPoint("ghost", package, "unmask.detectors")])
    assert "there is no package" in cause(catalogue, "ghost") or "is a module" in cause(
        catalogue, "ghost"
    )


def test_of_two_plugins_with_one_key_the_second_is_broken_and_names_the_first(plugin: Make) -> None:
    one = plugin("acme.twin", distribution="acme")
    other = plugin("bolt.twin", distribution="bolt")
    for order in ([one, other], [other, one]):
        catalogue = load_catalogue(order)
        assert catalogue.get("twin").distribution == "acme 1.0"
        (broken,) = catalogue.broken()
        assert broken.distribution == "bolt 1.0"
        assert "taken by acme 1.0" in str(broken.error)


def test_nobody_takes_the_key_of_a_built_in_plugin(plugin: Make) -> None:
    own = EntryPoint("sola", "detect_plugins.sola", "unmask.detectors")
    thief = plugin("aaa.sola", distribution="unmask")
    assert load_catalogue([thief, own]).get("sola").package == "detect_plugins.sola"


def test_the_same_code_installed_under_two_names_is_one_plugin() -> None:
    own = EntryPoint("sola", "detect_plugins.sola", "unmask.detectors")
    again = EntryPoint("sola", "detect_plugins.sola", "unmask.detectors")
    (entry,) = load_catalogue([own, again]).entries
    assert entry.error is None


def test_an_import_fault_is_found_by_loading_not_by_listing(plugin: Make) -> None:
    catalogue = load_catalogue([plugin("lame", init="import a_library_nobody_has")])
    assert not catalogue.broken()
    with pytest.raises(PluginBroken, match="No module named 'a_library_nobody_has'") as broken:
        load_class(catalogue.get("lame"))
    assert "Install what it needs" in str(broken.value)


def test_a_plugin_that_exits_on_import_does_not_end_the_process(plugin: Make) -> None:
    with pytest.raises(PluginBroken, match="SystemExit"):
        load_class(load_catalogue([plugin("quitter", init="raise SystemExit(3)")]).get("quitter"))


def test_a_class_without_the_parts_of_a_detector_is_refused(plugin: Make) -> None:
    init = "class Detector:\n    def load(self): ...\n    def infer(self): ...\n"
    with pytest.raises(PluginBroken, match="has no prepare, interpret, serving"):
        load_class(load_catalogue([plugin("stump", init=init)]).get("stump"))


def test_any_fault_while_loading_names_the_plugin(plugin: Make) -> None:
    init = (
        "class Detector:\n"
        "    @classmethod\n    def load(cls, *a): raise ZeroDivisionError('oops')\n"
        "    prepare = infer = interpret = serving = load\n"
    )
    with pytest.raises(PluginBroken, match="faulty: loading failed: ZeroDivisionError: oops"):
        load_detector(load_catalogue([plugin("faulty", init=init)]).get("faulty"), None, "cpu")


def test_an_unknown_key_names_the_installed_ones() -> None:
    with pytest.raises(PluginBroken, match=r"solo: no such plugin\. Installed: .*sola"):
        load_catalogue().get("solo")


def test_a_bundle_of_the_weights_directory_overrides_the_shipped_one(
    plugin: Make, tmp_path: Path
) -> None:
    shipping = MANIFEST.replace("[paper]", 'weights = "weights"\n[paper]')
    entry = load_catalogue([plugin("carrier", manifest=shipping)]).get("carrier")
    assert entry.folder is not None
    assert entry.bundle_folder(None) is None
    assert entry.ref(None).slug == "carrier@untrained"
    assert not entry.is_trained(None)

    write_card(entry.folder / "weights", "carrier", "a")
    assert entry.bundle_folder(None) == entry.folder / "weights"
    assert entry.ref(None).weights == "a" * 12
    assert entry.is_trained(None)

    override = tmp_path / "bundles"
    assert entry.bundle_folder(override) == entry.folder / "weights"
    write_card(override / "carrier", "carrier", "b")
    assert entry.ref(override).weights == "b" * 12


def test_an_override_without_a_card_is_refused_not_passed_over(
    plugin: Make, tmp_path: Path
) -> None:
    entry = load_catalogue([plugin("carrier")]).get("carrier")
    (tmp_path / "bundles" / "carrier").mkdir(parents=True)
    with pytest.raises(BundleRefused, match="no readable bundle card"):
        entry.ref(tmp_path / "bundles")


def write_card(folder: Path, plugin: str, digit: str) -> None:
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text(
        f'{{"plugin": "{plugin}", "plugin_version": "1", "name": "n", "created": "2026-11-21",'
        f'"architecture": {{}}, "sha256": "{digit * 64}", "dtype": "float32"}}'
    )
