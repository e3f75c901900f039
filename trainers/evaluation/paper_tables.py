"""The papers' own figures, to be put beside ours: what was trained, what was tested, what came out.

Train and test sets are named as evaluation names them: data set and level, then a method, for
example "ffpp-c23/Deepfakes". Where a paper leaves the compression open it is marked raw, as the
figures suggest, and DFD at c23 for the two papers that train at c23. Values are per cent. Every
cell that a paper prints of its own method and its variants is here; rows of others' methods that it
only compares with are not, nor is text that contradicts a table. FoCus's Table I did not survive in
the copy at hand.
"""

from collections.abc import Iterator, Mapping, Sequence

from unmask.frozen import Frozen

SOLA = "SOLA (CVPR 2022)"
LRL = "LRL (AAAI 2021)"
LLSM = "LLSM"
FOCUS = "FoCus (TIFS 2024)"
IN_DOMAIN, ACROSS = 0.5, 3.0
"""Differences in points that count as reproduced: on the same method, on another one."""
_FF = {"DF": "Deepfakes", "F2F": "Face2Face", "FS": "FaceSwap", "NT": "NeuralTextures"}


class PaperFigure(Frozen):
    """One cell of a printed table."""

    paper: str
    table: str
    model: str
    """Variant as the table calls it."""
    config: str
    """The configuration of trainers/configs that is to reproduce it."""
    train: str
    test: str
    metric: str
    """AUC, ACC or EER; at frame level where the paper says (SOLA, FoCus), else as ours."""
    value: float

    @property
    def tolerance(self) -> float:
        """Points within which it counts as reproduced: in-domain means the same methods."""
        same = self.test == self.train or self.test.startswith(f"{self.train}/")
        return IN_DOMAIN if same else ACROSS


class Compared(Frozen):
    """A printed figure beside ours; `ours` is None where that test was not run."""

    figure: PaperFigure
    ours: float | None

    @property
    def difference(self) -> float | None:
        """Ours less theirs, points."""
        return None if self.ours is None else self.ours - self.figure.value


def _sola() -> Iterator[PaperFigure]:
    def row(
        table: str, model: str, config: str, train: str, cells: Mapping[str, float]
    ) -> Iterator[PaperFigure]:
        for test, value in cells.items():
            yield PaperFigure(
                paper=SOLA, table=table, model=model, config=config, train=train, test=test,
                metric="AUC", value=value,
            )  # fmt: skip

    def ff(values: Sequence[float], level: str = "raw") -> dict[str, float]:
        return {f"ffpp-{level}/{m}": v for m, v in zip(_FF.values(), values, strict=True)}

    across = {
        "DF": ([100, 97.29, 63.59, 98.45], [100, 96.95, 69.72, 98.48]),
        "F2F": ([99.61, 99.67, 84.24, 97.48], [99.73, 99.56, 93.50, 96.02]),
        "FS": ([93.18, 97.59, 100, 94.93], [99.11, 98.13, 99.98, 92.07]),
        "NT": ([99.95, 94.83, 57.32, 99.82], [99.64, 97.69, 90.20, 99.76]),
    }
    for short, (weak, supervised) in across.items():
        train, config = f"ffpp-raw/{_FF[short]}", f"sola-ffpp-{short.lower()}"
        # Table 1's figures are the diagonal of Table 2.
        yield from row("1 and 2", "weak", config, train, ff(weak))
        yield from row("1 and 2", "supervised", f"{config}-sup", train, ff(supervised))
    shifter = "faceshifter-raw/FaceShifter"
    yield from row("3", "weak", "sola-ffpp-all", "ffpp-raw", {shifter: 97.27})
    yield from row("3", "supervised", "sola-ffpp-all-sup", "ffpp-raw", {shifter: 98.72})
    c23 = "ffpp-c23/Deepfakes"
    yield from row("4", "weak", "sola-ffpp-df-c23", c23, {"celebdf/Celeb-synthesis": 72.47})
    yield from row(
        "4", "supervised", "sola-ffpp-df-c23-sup", c23, {"celebdf/Celeb-synthesis": 76.02}
    )
    yield from row("5", "weak", "sola-celebdf", "celebdf", ff([85.77, 85.72, 86.78, 85.64]))
    yield from row("5", "weak", "sola-dfd", "dfd-raw", ff([95.51, 85.51, 60.81, 84.01]))
    for model, config, celeb, dfd in (
        ("no noise", "no-noise", 98.15, 83.31),
        ("fixed SRM", "fixed-srm", 73.05, 99.81),
        ("free SRM", "free-srm", 94.67, 99.99),
        ("ASRM", "", 98.70, 99.98),
    ):
        tail = f"-{config}" if config else ""
        for train, test, value in (
            ("celebdf", "celebdf/Celeb-synthesis", celeb),
            ("dfd-raw", "dfd-raw/DeepFakeDetection", dfd),
        ):
            name = f"sola-{train.removesuffix('-raw')}{tail}"
            yield from row("6", model, name, train, {test: value})
    for model, tail, values in (
        ("plain", "-plain", (99.90, 72.24, 78.33)),
        ("ASRM", "-asrm", (99.87, 81.02, 88.49)),
        ("LEM", "-lem", (99.98, 73.64, 80.25)),
        ("both, grid 8", "-grid8", (100, 80.17, 91.10)),
        ("both, grid 16", "", (100, 86.53, 92.61)),
        ("both, grid 32", "-grid32", (100, 85.99, 87.85)),
    ):
        tests = ("ffpp-raw/Deepfakes", shifter, "dfd-raw/DeepFakeDetection")
        cells = dict(zip(tests, values, strict=True))
        yield from row("7", model, f"sola-ffpp-df{tail}", "ffpp-raw/Deepfakes", cells)
    for name, values in (
        ("r18", (99.84, 98.10, 68.33)),
        ("r50", (99.90, 99.14, 74.98)),
        ("r101", (99.90, 99.25, 75.05)),
    ):
        tail = "" if name == "r18" else f"-{name}"
        raw, hq, celeb = values
        yield from row("8", name, f"sola-ffpp-all{tail}", "ffpp-raw", {"ffpp-raw": raw})
        cells = {"ffpp-c23": hq, "celebdf/Celeb-synthesis": celeb}
        yield from row("8", name, f"sola-ffpp-all-c23{tail}", "ffpp-c23", cells)


def _rows(
    paper: str, cells: Sequence[tuple[str, str, str, str, str, str, float]]
) -> Iterator[PaperFigure]:
    for table, model, config, train, test, metric, value in cells:
        yield PaperFigure(
            paper=paper, table=table, model=model, config=config, train=train, test=test,
            metric=metric, value=value,
        )  # fmt: skip


def _lrl() -> Iterator[PaperFigure]:
    for level, acc, auc in (("raw", 99.87, 99.92), ("c23", 97.59, 99.46), ("c40", 91.47, 95.21)):
        name, data = f"lrl-ffpp-{level}", f"ffpp-{level}"
        yield from _rows(
            LRL,
            [
                ("1", "LRL", name, data, data, "ACC", acc),
                ("1", "LRL", name, data, data, "AUC", auc),
            ],
        )
    for short, value in (("DF", 98.84), ("F2F", 95.53), ("FS", 97.53), ("NT", 89.31)):
        data = f"ffpp-c40/{_FF[short]}"
        name = f"lrl-ffpp-c40-{short.lower()}"
        yield from _rows(LRL, [("2", "LRL", name, data, data, "ACC", value)])
    for test, auc, eer in (
        ("celebdf/Celeb-synthesis", 78.26, 29.67),
        # Its reference for DFDC is the preview's.
        ("dfdcp", 76.53, 32.41),
        ("dfd-c23/DeepFakeDetection", 89.24, 20.32),
    ):
        name, train = "lrl-ffpp-c23", "ffpp-c23"
        yield from _rows(
            LRL,
            [
                ("3", "LRL", name, train, test, "AUC", auc),
                ("3", "LRL", name, train, test, "EER", eer),
            ],
        )
    for model, tail, acc, auc in (
        ("RGB", "-rgb", 89.15, 93.03),
        ("RGB + frequency", "-freq", 89.99, 93.13),
        ("RGB + frequency + RFAM", "-rfam", 90.05, 93.78),
        ("RGB + MPSM", "-mpsm", 91.06, 94.96),
    ):
        name, data = f"lrl-ffpp-c40{tail}", "ffpp-c40"
        yield from _rows(
            LRL,
            [
                ("4", model, name, data, data, "ACC", acc),
                ("4", model, name, data, data, "AUC", auc),
            ],
        )


def _llsm() -> Iterator[PaperFigure]:
    cells: list[tuple[str, str, str, str, str, str, float]] = []
    c23 = "llsm-ffpp-c23"
    for test, value in (
        ("ffpp-c23", 98.54),
        ("celebdf/Celeb-synthesis", 80.56),
        ("dfd-c23/DeepFakeDetection", 96.01),
    ):
        cells.append(("I", "LLSM", c23, "ffpp-c23", test, "AUC", value))
    cells.append(("II", "LLSM", c23, "ffpp-c23", "ffpp-c23", "ACC", 92.84))
    cells.append(("II", "LLSM", "llsm-ffpp-c40", "ffpp-c40", "ffpp-c40", "ACC", 81.13))
    cells.append(("II", "LLSM", "llsm-ffpp-c40", "ffpp-c40", "ffpp-c40", "AUC", 91.93))
    across = {
        "DF": (99.99, 73.06, 51.86, 76.09),
        "F2F": (77.70, 99.24, 60.13, 71.52),
        "FS": (70.24, 70.67, 99.65, 54.82),
        "NT": (83.91, 79.37, 56.64, 97.27),
    }
    for short, values in across.items():
        for method, value in zip(_FF.values(), values, strict=True):
            cells.append(
                ("III", "LLSM", f"llsm-ffpp-c23-{short.lower()}", f"ffpp-c23/{_FF[short]}",
                 f"ffpp-c23/{method}", "AUC", value)
            )  # fmt: skip
    for model, tail, value in (
        ("Xception", "-xception", 72.15),
        ("+ LLSM", "-no-flm", 75.11),
        ("+ FLM", "-no-llsm", 76.67),
    ):
        cells.append(("IV", model, c23 + tail, "ffpp-c23", "celebdf/Celeb-synthesis", "AUC", value))
    yield from _rows(LLSM, cells)


#: FoCus's cross-data tests; printed order of Tables II, III, V and VI.
_FOCUS_TESTS = ("celebdf/Celeb-synthesis", "wilddeepfake/wild", "dfdc/DFDC", "dfdcp")
_FPN = "efficientnet-fpn-ffpp"
EXTERNAL = "external-"
"""Figures of networks that are not here (PCL, LTTD, CADDM) have a name that starts so."""
#: Table IV's columns, as `trainers.evaluation.robustness` calls them.
_CORRUPTIONS = (
    "clean", "saturation", "contrast", "block", "noise", "blur", "pixelation", "compression",
)  # fmt: skip


def _focus_row(
    table: str, model: str, config: str, level: str, values: Sequence[float]
) -> Iterator[PaperFigure]:
    """Accuracy and AUC on FF++ where there are six values, then AUC across data sets."""
    data = f"ffpp-{level}"
    tests: list[tuple[str, str]] = [(test, "AUC") for test in _FOCUS_TESTS]
    if len(values) == 6:
        tests = [(data, "ACC"), (data, "AUC"), *tests]
    for (test, metric), value in zip(tests, values, strict=True):
        yield from _rows(FOCUS, [(table, model, config, data, test, metric, value)])


def _focus() -> Iterator[PaperFigure]:
    sources: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
        "ssim": ((72.12, 72.38, 65.35, 72.92), (68.79, 68.95, 64.71, 71.59)),
        "pixel": ((69.71, 71.59, 66.06, 69.37), (70.22, 66.94, 63.76, 70.21)),
        "pixel-threshold": ((69.47, 69.29, 67.64, 70.31), (70.55, 68.35, 64.80, 72.98)),
        "gffd": ((68.37, 69.17, 64.15, 67.94), (71.03, 69.31, 62.07, 70.81)),
        "madd": ((68.07, 68.16, 61.95, 70.82), (70.27, 68.04, 61.94, 69.17)),
        "uia-vit": ((66.73, 71.04, 67.16, 73.56), (64.60, 70.26, 65.29, 75.63)),
        "focus": ((76.13, 73.31, 68.42, 76.62), (72.02, 72.18, 66.92, 77.80)),
    }
    for source, by_level in sources.items():
        for level, row in zip(("c23", "c40"), by_level, strict=True):
            name = f"{_FPN}-{level}" + ("" if source == "focus" else f"-{source}")
            yield from _focus_row("II", source, name, level, row)
    for network, level, source, values in (
        ("PCL", "c23", "SSIM", (94.21, 96.23, 78.46, 67.46, 66.75, 70.14)),
        ("PCL", "c23", "FoCus", (95.50, 96.89, 76.77, 72.42, 68.11, 74.22)),
        ("PCL", "c40", "SSIM", (83.70, 87.84, 73.01, 67.90, 62.83, 69.15)),
        ("PCL", "c40", "FoCus", (84.12, 88.02, 71.32, 71.75, 66.79, 73.25)),
        ("LTTD", "c23", "pixel", (97.47, 98.61, 78.67, 73.19, 70.90, 76.33)),
        ("LTTD", "c23", "FoCus", (97.08, 99.12, 79.38, 76.60, 74.95, 79.83)),
        ("LTTD", "c40", "pixel", (89.27, 92.65, 80.57, 73.36, 69.27, 74.06)),
        ("LTTD", "c40", "FoCus", (89.50, 93.19, 81.80, 76.83, 71.84, 76.62)),
        ("CADDM", "c23", "SSIM", (94.23, 96.12, 83.20, 78.99, 73.27, 78.50)),
        ("CADDM", "c23", "FoCus", (94.62, 97.17, 82.84, 80.75, 72.81, 80.39)),
        ("CADDM", "c40", "SSIM", (88.16, 91.23, 81.15, 78.69, 71.81, 75.44)),
        ("CADDM", "c40", "FoCus", (90.30, 92.08, 82.92, 79.80, 72.96, 79.86)),
    ):
        name = f"{EXTERNAL}{network.lower()}-ffpp-{level}-{source.lower()}"
        yield from _focus_row("III", f"{network}, {source} maps", name, level, values)
    for model, tail, robust in (
        ("FoCus maps", "", (99.9, 99.5, 99.2, 98.0, 76.5, 89.2, 97.4, 68.6)),
        ("maps without Sobel", "-maps-rgb", (99.8, 99.2, 99.0, 98.4, 60.8, 79.0, 90.9, 66.7)),
    ):
        for kind, value in zip(_CORRUPTIONS, robust, strict=True):
            cell = ("IV", model, f"{_FPN}-c23{tail}", "ffpp-c23", "ffpp-c23", f"AUC {kind}", value)
            yield from _rows(FOCUS, [cell])
    for table, model, tail, values in (
        ("V", "maps of RGB", "-maps-rgb", (85.77, 88.90, 71.37, 70.51, 62.28, 73.47)),
        ("V, VI", "maps of RGB and Sobel", "", (87.02, 91.01, 72.02, 72.18, 66.92, 77.80)),
        ("V", "maps of RGB twice", "-maps-second-rgb", (86.09, 89.22, 70.68, 71.23, 63.42, 73.64)),
        ("V", "maps of RGB and DCT", "-maps-dct", (86.98, 90.54, 70.66, 74.58, 64.64, 72.47)),
        ("V", "maps of RGB and SRM", "-maps-srm", (85.98, 88.02, 69.67, 69.86, 64.15, 71.40)),
        ("VI", "maps without CARP", "-maps-no-carp", (86.59, 90.42, 70.63, 71.02, 63.20, 70.76)),
        ("VI", "maps without CL", "-maps-no-cl", (86.27, 89.04, 70.14, 71.91, 64.28, 69.28)),
        ("VI", "Grad-CAM", "-maps-gradcam", (78.13, 81.35, 68.44, 65.19, 64.29, 70.04)),
        ("VI", "ScoreCAM", "-maps-scorecam", (82.95, 84.62, 68.96, 69.04, 60.84, 68.32)),
    ):
        yield from _focus_row(table, model, f"{_FPN}-c40{tail}", "c40", values)
    # Table VII prints DFDC before WildDeepfake.
    vii = (97.28, 99.15, 83.17, 76.02, 72.98, 78.01)
    yield from _focus_row("VII", "FoCus", "focus-ffpp-c23", "c23", vii)


FIGURES: tuple[PaperFigure, ...] = (*_sola(), *_lrl(), *_llsm(), *_focus())


def expected_of(config: str) -> list[PaperFigure]:
    """Every printed figure that a configuration is to reproduce."""
    return [figure for figure in FIGURES if figure.config == config]


def side_by_side(config: str, ours: Mapping[tuple[str, str], float]) -> list[Compared]:
    """Printed figures of one configuration beside ours, keyed by (test, metric), per cent."""
    return [
        Compared(figure=figure, ours=ours.get((figure.test, figure.metric)))
        for figure in expected_of(config)
    ]


def markdown(compared: Sequence[Compared]) -> str:
    """A table: paper, ours, difference, and whether it is within tolerance."""
    if not compared:
        return "No printed figure belongs to this configuration."
    lines = [
        "| paper | table | model | test | metric | paper | ours | difference | within |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in compared:
        figure, difference = row.figure, row.difference
        if row.ours is None or difference is None:
            ours, gap, within = "not run", "", ""
        else:
            ours, gap = f"{row.ours:.2f}", f"{difference:+.2f}"
            within = "yes" if abs(difference) <= figure.tolerance else f"no ({figure.tolerance:g})"
        lines.append(
            f"| {figure.paper} | {figure.table} | {figure.model} | {figure.test} | {figure.metric} "
            f"| {figure.value:.2f} | {ours} | {gap} | {within} |"
        )
    return "\n".join(lines)


def seeds_table(config: str, runs: Sequence[Mapping[tuple[str, str], float]]) -> str:
    """As `markdown`, of the mean over runs with different seeds, and their spread; with a last line
    that counts what was reproduced."""
    rows = expected_of(config)
    lines = [
        f"| paper | table | model | test | metric | paper | ours, {len(runs)} seeds | difference | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    passed = 0
    for figure in rows:
        values = [run[key] for run in runs if (key := (figure.test, figure.metric)) in run]
        ours, gap, said = "not run", "", ""
        if values:
            mean = sum(values) / len(values)
            ours = f"{mean:.2f}" + (
                f" ({min(values):.2f} to {max(values):.2f})" if values[1:] else ""
            )
            gap, good = f"{mean - figure.value:+.2f}", abs(mean - figure.value) <= figure.tolerance
            said = "pass" if good else f"fail (+-{figure.tolerance:g})"
            passed += good
        lines.append(
            f"| {figure.paper} | {figure.table} | {figure.model} | {figure.test} | {figure.metric} "
            f"| {figure.value:.2f} | {ours} | {gap} | {said} |"
        )
    return "\n".join([*lines, "", f"{passed} of {len(rows)} printed figures reproduced."])
