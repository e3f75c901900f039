"""Every configuration loads, fits its plugin, and belongs to the paper table that it names."""

from pathlib import Path

import pytest

import trainers
from detect_plugins.catalogue import load_catalogue, load_class
from trainers.config import expand, load_config
from trainers.evaluation import paper_tables
from unmask.errors import ConfigError

CONFIGS = Path(trainers.__file__).parent / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_config_fits_its_plugin(name):
    config = load_config(CONFIGS / f"{name}.toml")
    assert config.name == name
    entry = load_catalogue().get(config.plugin)
    load_class(entry).Config.model_validate(config.architecture)
    for source in (*config.data.train, *config.data.val):
        assert source.shards and source.root


def test_every_printed_figure_has_its_config_and_its_training_set():
    for figure in paper_tables.FIGURES:
        assert figure.config in NAMES, figure
        config = load_config(CONFIGS / f"{figure.config}.toml")
        (source,) = config.data.train
        trained = source.dataset + (f"-{source.compression}" if source.compression else "")
        if len(source.methods) == 1:
            trained += f"/{source.methods[0]}"
        assert trained == figure.train, figure.config


def test_a_table_puts_ours_beside_theirs_with_the_difference():
    ours = {("ffpp-raw/Deepfakes", "AUC"): 99.8, ("ffpp-raw/FaceSwap", "AUC"): 70.0}
    rows = paper_tables.side_by_side("sola-ffpp-df", ours)
    found = {(r.figure.table, r.figure.test): r for r in rows}
    same = found["1 and 2", "ffpp-raw/Deepfakes"]
    assert same.figure.value == 100 and same.difference == pytest.approx(-0.2)
    text = paper_tables.markdown(rows)
    assert "| +6.41 | no (0.5) |" in text
    assert "not run" in text


def test_a_file_may_extend_another_and_overrides_go_last(tmp_path):
    (tmp_path / "base.toml").write_text(
        'plugin = "sola"\nsteps = 5\n[loss]\nkind = "sola"\nbeta = 0.3\n[synthetic]\nshare = 1.0\n'
    )
    (tmp_path / "own.toml").write_text('extends = "base.toml"\n[loss]\nmode = "supervised"\n')
    config = load_config(tmp_path / "own.toml", ["steps=7", "optimiser.name=sgd"])
    assert (config.name, config.steps, config.optimiser.name) == ("own", 7, "sgd")
    assert (config.loss.mode, config.loss.beta) == ("supervised", 0.3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('plugin = "sola"\nsteps = 5\n[loss]\nkind = "sola"\nbetta = 1', r"loss\.sola\.betta"),
        ('plugin = "lrl"\nsteps = 5\n[loss]\nkind = "sola"', "loss.kind is 'sola'"),
        ('plugin = "sola"\nsteps = 0\n[loss]\nkind = "sola"', "steps: .*greater than 0"),
        ('extends = "own.toml"', "extends itself"),
        ("plugin =", "is not TOML"),
    ],
)
def test_a_fault_is_named(tmp_path, text, complaint):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        load_config(tmp_path / "own.toml")


def test_an_unset_variable_in_a_path_is_named(monkeypatch):
    monkeypatch.delenv("UNMASK_DATA", raising=False)
    with pytest.raises(ConfigError, match="UNMASK_DATA"):
        expand("$UNMASK_DATA/faces")
    monkeypatch.setenv("UNMASK_DATA", "/data")
    assert expand("$UNMASK_DATA/faces") == Path("/data/faces")


def test_two_configs_never_claim_one_shards_folder_for_different_shards():
    claimed: dict[str, tuple[str, dict]] = {}
    for name in NAMES:
        config = load_config(CONFIGS / f"{name}.toml")
        for source in (*config.data.train, *config.data.val):
            plan = source.model_dump(exclude={"weight"})
            owner, other = claimed.setdefault(source.shards, (name, plan))
            assert other == plan, f"{name} and {owner}"
