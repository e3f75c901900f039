"""Which crops meet in a batch: pairs of a real and a forged one, as alike as the data allows."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from research.heldout.stored.packed_crops import Crops

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Of the pairs in a batch."""

    tool: float = 0.4
    self_blend: float = 0.3
    swap_blend: float = 0.1
    redrawn: float = 0.2
    kinds: frozenset[str] = frozenset()
    """Kinds of tools to draw from; empty: all."""
    pairs: bool = True
    """False: forged clips meet any real crop, never the footage they were made of (ablation)."""
    few_people: bool = False
    """True: reals of the clips alone, no stills (ablation)."""
    stills_only: bool = False
    """True: reals of the stills alone, so that no judged person can be among them."""
    alike: int = 48
    """A forged crop of other footage meets the likest of so many real ones."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a training must not see."""

    tools_fold: int | None = None
    people_fold: int | None = None
    clips: bool = False
    """True: every clip; training then sees stills alone."""


@dataclass(frozen=True)
class Split:
    """Indices of crops."""

    train: Ints
    judged: Ints
    extra: dict[str, str] = field(default_factory=dict)


def split(crops: Crops, held: Held) -> Split:
    """Training and judged crops. No judged clip shares a group of people with training."""
    files = crops.files
    if held.tools_fold is not None:
        judged = {
            p for p, f in files.items() if p.startswith("videos/") and f["fold"] == held.tools_fold
        }
    elif held.people_fold is not None:
        judged = {
            p
            for p, f in files.items()
            if p.startswith("videos/") and int(f["group"], 16) % 4 == held.people_fold
        }
    elif held.clips:
        judged = {p for p in files if p.startswith("videos/")}
    else:
        judged = set()
    groups = {files[p]["group"] for p in judged}
    train, test = [], []
    for n, row in enumerate(crops.rows):
        path = row["path"]
        if row["quality"] != "partner" and path in judged:
            test.append(n)
        elif path not in judged and files[path]["group"] not in groups:
            train.append(n)
    return Split(np.array(train, np.int64), np.array(test, np.int64))


class Sampler:
    """Draws pairs. Real people, and tools of each kind, come up evenly, however many clips they have."""

    def __init__(self, crops: Crops, train: Ints, shares: Shares, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.crops, self.shares = crops, shares
        files, rows = crops.files, crops.rows
        self.clip_reals: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.stills: dict[str, list[int]] = defaultdict(list)
        self.forged: dict[str, dict[str, dict[str, list[int]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        self.partner: dict[tuple[str, int], list[int]] = defaultdict(list)
        self.looks = crops.looks
        for n in train.tolist():
            row, file = rows[n], files[rows[n]["path"]]
            if row["quality"] == "partner":
                self.partner[row["path"], row["moment"]].append(n)
            elif file["label"] and file["origin"] == "video":
                if not shares.kinds or file["kind"] in shares.kinds:
                    self.forged[file["kind"]][file["tool"]][row["path"]].append(n)
            elif file["label"]:
                if not shares.kinds or "audio portrait" in shares.kinds:
                    self.forged["still"]["StyleGAN2"][row["path"]].append(n)
            elif file["origin"] == "video":
                self.clip_reals[file["people"]][row["quality"]].append(n)
            else:
                self.stills[file["origin"]].append(n)
        self.people = sorted(self.clip_reals)
        self.by_quality = {
            q: np.array([n for p in self.people for n in self.clip_reals[p].get(q, [])], np.int64)
            for q in ("found", "crf23", "crf32", "passage")
        }
        stills = np.array(self.stills["s2f"] if not shares.few_people else [], np.int64)
        self.likely = {
            q: np.concatenate([pool, stills]) for q, pool in self.by_quality.items() if len(pool)
        }
        kinds = sorted(self.forged)
        weight = np.array([self._kind_weight(k) for k in kinds])
        self.kinds, self.kind_p = kinds, weight / max(weight.sum(), 1e-9)
        self.tool_p = {}
        for kind in kinds:
            tools = sorted(self.forged[kind])
            w = np.sqrt([len(self.forged[kind][t]) for t in tools])
            self.tool_p[kind] = (tools, w / w.sum())

    def _kind_weight(self, kind: str) -> float:
        clips = sum(len(t) for t in self.forged[kind].values())
        return 0.3 * np.sqrt(10) if kind == "still" else float(np.sqrt(clips))

    def real(self) -> int:
        """One real crop: of a clip (people evenly), or of a still."""
        r = self.rng.random()
        if (r < 0.55 or self.shares.few_people) and not self.shares.stills_only:
            held = self.clip_reals[self.people[self.rng.integers(len(self.people))]]
            there = [q for q in held if held[q]]
            quality = there[self.rng.integers(len(there))]
            return int(self.rng.choice(held[quality]))
        stills = self.stills["s2f" if self.rng.random() < 0.68 else "ffhq"]
        return int(stills[self.rng.integers(len(stills))])

    def tool_pair(self) -> tuple[int, int, bool]:
        """Forged and real crop, and whether they show the same frame."""
        kind = self.kinds[self.rng.choice(len(self.kinds), p=self.kind_p)]
        tools, p = self.tool_p[kind]
        clips = self.forged[kind][tools[self.rng.choice(len(tools), p=p)]]
        paths = list(clips)
        fake = int(self.rng.choice(clips[paths[self.rng.integers(len(paths))]]))
        row = self.crops.rows[fake]
        if kind == "still":
            stills = self.stills["ffhq"]
            return fake, int(stills[self.rng.integers(len(stills))]), False
        same = self.partner.get((row["path"], row["moment"]))
        if same and self.shares.pairs:
            return fake, int(self.rng.choice(same)), True
        if not self.shares.pairs:
            return fake, self.real(), False
        pool = self.likely.get(row["quality"], self.likely["found"])
        some = pool[self.rng.integers(len(pool), size=self.shares.alike)]
        near = np.square(self.looks[some] - self.looks[fake]).sum(1)
        return fake, int(some[near.argmin()]), False

    def batch(self, pairs: int) -> dict[str, Ints]:
        """`pairs` pairs: indices of both crops, whether tools made the forged one and of the same frame."""
        s = self.shares
        counts = np.array([s.tool, s.self_blend, s.swap_blend, s.redrawn])
        tool, own, swap = (round(float(c) * pairs) for c in counts[:3])
        made = [self.tool_pair() for _ in range(tool)] if self.kinds else []
        reals = [self.real() for _ in range(pairs - len(made))]
        return {
            "fake": np.array([m[0] for m in made] + reals, np.int64),
            "real": np.array([m[1] for m in made] + reals, np.int64),
            "same": np.array([m[2] for m in made] + [True] * len(reals), np.int64),
            "donor": np.array([self.real() for _ in range(swap)], np.int64),
            "counts": np.array([len(made), own, swap, pairs - len(made) - own - swap], np.int64),
        }
