"""FaceForensics++ and the two sets that live in its tree: FaceShifter, DFD (Roessler et al., 2019)."""

from pathlib import Path

from trainers.datasets.layout import known, not_empty, read_json, unexpected
from trainers.datasets.sample import REAL, Description, Listing, Sample, Split

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
LEVELS = ("raw", "c23", "c40")
_TERMS = "FaceForensics terms of use: non-commercial research and education; no redistribution"
_TREE = (
    "original_sequences/youtube/{raw|c23|c40}/videos/NNN.mp4, manipulated_sequences/METHOD/"
    "{raw|c23|c40}/videos/TARGET_SOURCE.mp4, manipulated_sequences/METHOD/masks/videos/, and "
    "train.json, val.json, test.json (lists of pairs) in the root."
)
_WHERE = (
    "fill in the form linked from github.com/ondyari/FaceForensics, download with its script "
    "(types `videos` and `masks`), copy dataset/splits/*.json into the root."
)

FFPP = Description(
    key="ffpp",
    title="FaceForensics++",
    licence=_TERMS,
    labels="the folder: original_sequences real, manipulated_sequences forged",
    splits="official 360/70/70 pairs = 720/140/140 ids; both fakes and both reals of a pair together",
    layout=_TREE,
    where=_WHERE,
)
FACESHIFTER = FFPP.model_copy(
    update={"key": "faceshifter", "title": "FaceShifter in the FaceForensics++ tree"}
)
DFD = Description(
    key="dfd",
    title="DeepFakeDetection (DFD) in the FaceForensics++ tree",
    licence=_TERMS,
    labels="the folder: original_sequences/actors real, DeepFakeDetection forged",
    splits="none official: all videos are test",
    layout=(
        "original_sequences/actors/{raw|c23|c40}/videos/ACTOR__SCENE.mp4 and manipulated_sequences/"
        "DeepFakeDetection/{raw|c23|c40}/videos/TARGET_SOURCE__SCENE__XXXXXXXX.mp4."
    ),
    where=_WHERE,
)


class FaceForensics:
    """Fakes a_b and b_a, reals a and b of every pair (a, b) of the split."""

    def __init__(self, description: Description, methods: tuple[str, ...]) -> None:
        self.description = description
        self._methods = methods

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = "c23"
    ) -> Listing:
        """Reals and forgeries of one split at one compression. Raises ConfigError."""
        level = compression or "c23"
        known(self.description, "compression", [level], LEVELS)
        known(self.description, "method", methods, self._methods)
        samples: list[Sample] = []
        missing: list[tuple[str, str]] = []
        for name in ("train", "val", "test") if split == "all" else (split,):
            for pair in self._pairs(root, name):
                for sample in _of_pair(
                    self.description, root, level, pair, methods or self._methods
                ):
                    if sample.path.is_file():
                        samples.append(sample.model_copy(update={"split": name}))
                    else:
                        missing.append(("missing file", str(sample.path.relative_to(root))))
        return not_empty(
            self.description,
            root,
            Listing(samples=tuple(samples), left_out=tuple(missing)),
            f"the {level} videos of split {split}",
        )

    def _pairs(self, root: Path, split: str) -> list[tuple[str, str]]:
        pairs = read_json(self.description, root / f"{split}.json")
        if not all(isinstance(p, list) and len(p) == 2 for p in pairs):
            raise unexpected(
                self.description, root, f"pairs such as ['071', '054'] in {split}.json"
            )
        return [(str(a), str(b)) for a, b in pairs]


class DeepFakeDetection:
    """363 reals and 3,068 fakes by actors, without an official split."""

    description = DFD

    def read(
        self, root: Path, *, split: Split, methods: tuple[str, ...] = (), compression: str = "c23"
    ) -> Listing:
        """All videos, to test on ("test") or to train on ("all"). Raises ConfigError."""
        level = compression or "c23"
        known(DFD, "compression", [level], LEVELS)
        known(DFD, "method", methods, ["DeepFakeDetection"])
        known(DFD, "split", [split], ["test", "all"])
        actors = root / "original_sequences" / "actors" / level / "videos"
        fakes = root / "manipulated_sequences" / "DeepFakeDetection"
        common = {
            "dataset": f"dfd-{level}",
            "split": "test" if split == "test" else "train",
            "kind": "video",
        }
        samples = [
            Sample.model_validate(
                common
                | {"method": REAL, "label": 0, "video": path.stem, "path": path}
                | {"identity": (path.stem.split("__")[0],)}
            )
            for path in sorted(actors.glob("*.mp4"))
        ]
        for path in sorted((fakes / level / "videos").glob("*.mp4")):
            people, _, rest = path.stem.partition("__")
            target, _, source = people.partition("_")
            scene = rest.rpartition("__")[0]
            mask = fakes / "masks" / "videos" / path.name
            original = actors / f"{target}__{scene}.mp4"
            samples.append(
                Sample.model_validate(
                    common
                    | {"method": "DeepFakeDetection", "label": 1, "video": path.stem, "path": path}
                    | {"mask_path": mask if mask.is_file() else None}
                    | {"pair_of": original if original.is_file() else None}
                    | {"identity": (target, source)}
                )
            )
        return not_empty(DFD, root, Listing(samples=tuple(samples)), f"{level} videos of actors")


def _of_pair(
    description: Description,
    root: Path,
    level: str,
    pair: tuple[str, str],
    methods: tuple[str, ...],
) -> list[Sample]:
    a, b = pair
    originals = root / "original_sequences" / "youtube" / level / "videos"
    common = {"dataset": f"{description.key}-{level}", "split": "", "kind": "video"}
    samples = [
        Sample.model_validate(
            common
            | {"method": REAL, "label": 0, "video": one, "path": originals / f"{one}.mp4"}
            | {"identity": (one,)}
        )
        for one in (a, b)
    ]
    for method in methods:
        folder = root / "manipulated_sequences" / method
        for target, source in ((a, b), (b, a)):
            name = f"{target}_{source}"
            mask = folder / "masks" / "videos" / f"{name}.mp4"
            original = originals / f"{target}.mp4"
            # The target gives background and pose: its frames pair with the fake's by index.
            samples.append(
                Sample.model_validate(
                    common
                    | {"method": method, "label": 1, "video": name}
                    | {"path": folder / level / "videos" / f"{name}.mp4"}
                    | {"mask_path": mask if mask.is_file() else None}
                    | {"pair_of": original if original.is_file() else None}
                    | {"identity": (target, source)}
                )
            )
    return samples
