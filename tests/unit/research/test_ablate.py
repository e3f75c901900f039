"""The ablation's rows: each must name switches that exist, and differ from its neighbours in them."""

import pytest

from detect_plugins.catalogue import load_catalogue, load_class
from research.ablate import RECIPES, VARIANTS, Variant, chosen, seeded, slug
from trainers.config import load_config


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: slug(v.name))
def test_every_variant_names_switches_that_its_plugin_has(variant: Variant) -> None:
    config = load_config(RECIPES / f"{variant.plugin}.toml", variant.changes)
    plugin = load_class(load_catalogue().get(variant.plugin))
    architecture = plugin.Config.model_validate(config.architecture)  # type: ignore[attr-defined]
    shipped = load_config(RECIPES / f"{variant.plugin}.toml")
    assert (config != shipped) == bool(variant.changes)
    if any(change.startswith("architecture.") for change in variant.changes):
        assert architecture != plugin.Config.model_validate(shipped.architecture)  # type: ignore[attr-defined]


def test_no_two_variants_share_a_folder() -> None:
    assert len({slug(v.name) for v in VARIANTS}) == len(VARIANTS)


def test_words_choose_variants() -> None:
    assert {v.name for v in chosen(["leave-out"])} >= {
        "pasted, leave-out swap",
        "generated, leave-out portrait",
    }
    assert [v.name for v in chosen(["sola"])] == ["sola"]  # a whole name is that one alone
    assert chosen([]) == VARIANTS


def test_another_seed_is_a_row_of_its_own_that_differs_in_the_seed_alone() -> None:
    row = next(v for v in VARIANTS if v.name == "sola, weak")
    again = seeded(row, 7)
    assert slug(again.name) == "sola-weak-seed-7"
    was, now = (load_config(RECIPES / "sola.toml", v.changes) for v in (row, again))
    assert now == was.model_copy(update={"seed": 7})
    assert was.seed != 7
