"""`unmask plugins`, `unmask doctor`, `--help`: without torch, hence at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import PrivatePostgres

COMMANDS = [
    ["plugins"],
    ["plugins", "--json"],
    ["doctor"],
    ["doctor", "--json"],
    ["schema"],
    ["--help"],
    ["scan", "--help"],
    ["engines", "--help"],
]
HEAVY = ("torch", "cv2", "av", "openvino", "onnxruntime", "sqlalchemy", "timm")
#: Runs a command in this interpreter and reports on its last line what it imported.
PROBE = """
import sys
sys.argv = ["unmask", *sys.argv[1:]]
from console.cli import main
try:
    main()
except SystemExit:
    pass
print("\\nLOADED " + " ".join(sorted(sys.modules)))
"""


def _environment(tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("UNMASK_")}
    return kept | {"UNMASK_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "120"}


def _unmask(arguments: list[str], tmp_path: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console.cli", *arguments],
        capture_output=True, text=True, timeout=180, env=_environment(tmp_path) | extra, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_looking_around_imports_nothing_heavy(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *command],
        capture_output=True, text=True, timeout=180, env=_environment(tmp_path), check=True,
    )  # fmt: skip
    loaded = set(done.stdout.rpartition("LOADED ")[2].split())
    assert "console.cli" in loaded
    assert not loaded & set(HEAVY)


def test_plugins_lists_all_five_for_programs(tmp_path: Path) -> None:
    done = _unmask(["plugins", "--json"], tmp_path)
    rows = {row["key"]: row for row in json.loads(done.stdout)["plugins"]}
    assert {"sola", "lrl", "llsm", "focus", "efficientnet_fpn"} <= set(rows)
    for key in ("sola", "lrl", "llsm", "focus", "efficientnet_fpn"):
        row = rows[key]
        assert row["state"] in {"ready", "no_weights", "untrained"}
        assert row["paper"]["title"]
        assert 128 <= row["input_px"] <= 512  # of the weights that are loaded, not of the default
        assert 1.0 <= row["crop_scale"] <= 4.0
        assert row["parameters"] > 1e6
        assert row["gmacs"] > 0.1
        assert row["map"]["kind"]
        assert set(row["weights"]) >= {"state", "name", "sha256"}
        assert row["engine"]["wanted"] == "auto"


def test_plugins_says_which_kind_of_forgery_weights_were_taught(tmp_path: Path) -> None:
    told = " ".join(_unmask(["plugins"], tmp_path).stdout.split())
    if "demonstration weights" not in told:
        pytest.skip("no plugin ships trained weights in this checkout")
    assert "for generated faces" in told and "for pasted faces" in told


def test_a_weights_folder_that_lies_is_shown_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "weights" / "sola").mkdir(parents=True)
    (tmp_path / "weights" / "sola" / "bundle.json").write_text("{}")
    extra = {"UNMASK_WEIGHTS_DIR": str(tmp_path / "weights")}
    done = _unmask(["plugins", "--json"], tmp_path, **extra)
    sola = next(row for row in json.loads(done.stdout)["plugins"] if row["key"] == "sola")
    assert sola["state"] == "bundle_refused"
    assert "bundle" in sola["weights"]["error"]
    checks = json.loads(_unmask(["doctor", "--json"], tmp_path, **extra).stdout)["checks"]
    found = next(check for check in checks if check["name"] == "sola")
    assert found["state"] == "note"
    assert found["fix"]


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("UNMASK_FACE_DETECTOR", "onnx:/nowhere.onnx", "onnx"),
        ("UNMASK_FACE_DETECTOR", "guesswork", "guesswork"),
        ("UNMASK_REDIS_URL", "redis://127.0.0.1:1/0", "redis"),
        ("UNMASK_REDIS_URL", "unix:///nowhere.sock", "unix"),
        ("UNMASK_DATABASE_URL", "postgresql+psycopg://a@127.0.0.1:1/a", "postgresql+psycopg"),
        ("UNMASK_POLICY", "/nowhere.toml", "/nowhere.toml"),
        ("UNMASK_DATA_DIR", "/proc/unmask", "data"),
    ],
)
def test_doctor_names_what_is_missing_and_the_fix(
    tmp_path: Path, variable: str, value: str, name: str
) -> None:
    done = _unmask(["doctor", "--json"], tmp_path, **{variable: value})
    found = next(c for c in json.loads(done.stdout)["checks"] if c["name"] == name)
    assert found["state"] == "bad"
    assert found["fix"].endswith((".", "retinaface`."))
    assert done.returncode == 1


def test_doctor_logs_in_to_the_database_that_the_workers_would_use(
    tmp_path: Path, postgres: PrivatePostgres
) -> None:
    def check(url: str) -> dict[str, str]:
        done = _unmask(["doctor", "--json"], tmp_path, UNMASK_DATABASE_URL=url)
        found: list[dict[str, str]] = json.loads(done.stdout)["checks"]
        return next(c for c in found if c["part"] == "Database")

    there = check(postgres.url())
    assert there["state"] == "ok"
    assert postgres.version.split()[2] in there["detail"]
    absent = check(postgres.url("absent"))
    assert absent["state"] == "bad"
    assert '"absent" does not exist' in absent["detail"]


def test_a_broken_setting_is_named_with_its_variable(tmp_path: Path) -> None:
    done = _unmask(["plugins"], tmp_path, UNMASK_BATCH_SIZE="many")
    assert done.returncode == 2
    assert "UNMASK_BATCH_SIZE" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    assert _unmask(["scna"], tmp_path).returncode == 2
