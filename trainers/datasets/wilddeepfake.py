"""WildDeepfake: face sequences from the internet, cropped already (Zi et al., ACM MM 2020)."""

from pathlib import Path

from trainers.datasets.layout import known, not_empty
from trainers.datasets.sample import REAL, Description, Listing, Sample, Split

#: Its crops leave a margin that its authors do not give; 1.3 is the field's usual one.
ASSUMED_SCALE = 1.3

DESCRIPTION = Description(
    key="wilddeepfake",
    title="WildDeepfake",
    licence="WildDeepfake terms: non-commercial research",
    labels="the folder: real_* and fake_*",
    splits="train and test as given; no val. Cropped 224 px faces: absolute AUC is not comparable",
    layout=(
        "deepfake_in_the_wild/{real,fake}_{train,test}/N.tar.gz (or `fake train` with a space), in "
        "each N/{real,fake}/SEQUENCE/FRAME.png."
    ),
    where="the form at github.com/deepfakeinthewild/deepfake-in-the-wild, or its Hugging Face copy.",
)


class WildDeepfake:
    """One sample an archive; `prepare.py` unfolds its sequences."""

    description = DESCRIPTION

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = ""
    ) -> Listing:
        """Archives of one split. Raises ConfigError."""
        known(DESCRIPTION, "split", [split], ["train", "test", "all"])
        known(DESCRIPTION, "method", methods, ["wild"])
        known(DESCRIPTION, "compression", [compression] if compression else [], [])
        base = root / "deepfake_in_the_wild"
        base = base if base.is_dir() else root
        samples: list[Sample] = []
        for part in ("train", "test") if split == "all" else (split,):
            for label, word in ((0, "real"), (1, "fake")):
                for name in (f"{word}_{part}", f"{word} {part}"):
                    for path in sorted((base / name).glob("*.tar.gz"), key=_number):
                        samples.append(_sample(path, part, label))
        return not_empty(
            DESCRIPTION, base, Listing(samples=tuple(samples)), f"real_{split} and fake_{split}"
        )


def _sample(path: Path, split: str, label: int) -> Sample:
    number = path.name.removesuffix(".tar.gz")
    word = "fake" if label else "real"
    return Sample(
        dataset="wilddeepfake",
        split=split,
        method="wild" if label else REAL,
        label=label,
        video=f"{split}-{number}",
        kind="archive",
        path=path,
        identity=(f"{word}-{split}-{number}",),
        cropped_scale=ASSUMED_SCALE,
    )


def _number(path: Path) -> tuple[int, str]:
    name = path.name.removesuffix(".tar.gz")
    return (int(name) if name.isdigit() else 0, name)
