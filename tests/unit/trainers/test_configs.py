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
    for source in (*config.data.train, *config.data.val, *config.data.test):
        assert source.shards and source.root


def test_every_printed_figure_has_its_config_its_training_set_and_its_test_set():
    for figure in paper_tables.FIGURES:
        if figure.config.startswith(paper_tables.EXTERNAL):
            continue
        assert figure.config in NAMES, figure
        config = load_config(CONFIGS / f"{figure.config}.toml")
        (source,) = config.data.train
        trained = source.dataset + (f"-{source.compression}" if source.compression else "")
        if len(source.methods) == 1:
            trained += f"/{source.methods[0]}"
        assert trained == figure.train, figure.config
        tests = {
            s.dataset + (f"-{s.compression}" if s.compression else "") for s in config.data.test
        }
        assert figure.test.split("/")[0] in tests, figure.config


#: Forged videos of each training source: the official counts.
FORGED = {"ffpp": 720, "celebdf": 5639 - 340, "dfd": 3068}


@pytest.mark.parametrize("name", NAMES)
def test_epochs_are_counted_one_way(name):
    config = load_config(CONFIGS / f"{name}.toml")
    if config.plugin not in ("sola", "lrl") or not config.data.train:
        return
    (source,) = config.data.train
    methods = (len(source.methods) or 4) if source.dataset == "ffpp" else 1
    forged = FORGED[source.dataset] * methods * source.frames
    assert config.epoch_steps == round(2 * forged / config.batch)
    assert config.steps == 50 * config.epoch_steps
    if config.plugin == "lrl":
        assert config.schedule.step_every == 10 * config.epoch_steps


@pytest.mark.parametrize("name", NAMES)
def test_a_paper_config_does_to_pictures_only_what_its_paper_prints(name):
    config = load_config(CONFIGS / f"{name}.toml")
    if not paper_tables.expected_of(name):
        return
    assert config.data.crop_jitter == (1.0, 1.0) and config.data.crop_shift == 0.0
    assert config.optimiser.grad_clip == 0.0 and config.schedule.warmup_steps == 0
    assert config.synthetic.share == 0.0 and config.ema == 0.0 and config.precision == "fp32"
    changes = config.augment.model_dump()
    assert changes.pop("flip") == (0.5 if config.plugin == "focus" else 0.0)
    assert not any(v for k, v in changes.items() if k != "jpeg_quality")
    if config.plugin == "lrl":
        assert config.loss.sim_norm == "l2" and config.optimiser.decay == "all"


@pytest.mark.parametrize(
    ("config", "test", "tolerance"),
    [
        ("sola-ffpp-df", "ffpp-raw/Deepfakes", 0.5),
        ("sola-ffpp-df", "ffpp-raw/FaceSwap", 3.0),
        ("sola-ffpp-all", "ffpp-raw", 0.5),
        ("sola-celebdf", "celebdf/Celeb-synthesis", 0.5),
        ("lrl-ffpp-c23", "dfdcp", 3.0),
    ],
)
def test_another_method_is_another_domain(config, test, tolerance):
    found = [f for f in paper_tables.expected_of(config) if f.test == test]
    assert found and all(f.tolerance == tolerance for f in found)


def test_a_table_puts_ours_beside_theirs_with_the_difference():
    ours = {("ffpp-raw/Deepfakes", "AUC"): 99.8, ("ffpp-raw/FaceSwap", "AUC"): 70.0}
    rows = paper_tables.side_by_side("sola-ffpp-df", ours)
    found = {(r.figure.table, r.figure.test): r for r in rows}
    same = found["1 and 2", "ffpp-raw/Deepfakes"]
    assert same.figure.value == 100 and same.difference == pytest.approx(-0.2)
    text = paper_tables.markdown(rows)
    assert "| +6.41 | no (3) |" in text
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
        for source in (*config.data.train, *config.data.val, *config.data.test):
            plan = source.model_dump(exclude={"weight"})
            owner, other = claimed.setdefault(source.shards, (name, plan))
            assert other == plan, f"{name} and {owner}"
