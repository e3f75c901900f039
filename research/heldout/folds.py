"""Which forgeries are of one tool, and which tools are held out together.

Four folds. A fold's figures are of its tools and of people that its training saw nothing of: every clip
that shares a person, a face or its footage with one that is judged is left out of that training. So tools
that were run on the same people belong in one fold; otherwise each would take the other's training away.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

FOLDS = 4
#: method as the manifest has it (its beginning) -> tool, kind, fold. The first that fits counts.
TOOLS: tuple[tuple[str, str, str, int], ...] = (
    ("Wav2Lip", "Wav2Lip", "lip sync", 0),
    ("IP_LAP", "IP_LAP", "lip sync", 0),
    ("DiffDub", "DiffDub", "lip sync", 0),
    ("PC-AVS", "PC-AVS", "reenactment", 0),
    ("DAE-Talker", "DAE-Talker", "audio portrait", 0),
    ("DeepFaceLive", "DeepFaceLive", "swap", 1),
    ("ACTalker", "ACTalker", "audio portrait", 1),
    ("EchoMimicV2", "EchoMimicV2", "audio portrait", 1),
    ("EchoMimic", "EchoMimic", "audio portrait", 1),
    ("Follow-Your-Emoji", "Follow-Your-Emoji", "reenactment", 1),
    ("Hallo3", "Hallo3", "audio portrait", 1),
    ("Hallo", "Hallo", "audio portrait", 1),
    ("JoyHallo", "JoyHallo", "audio portrait", 1),
    ("LivePortrait", "LivePortrait", "reenactment", 1),
    ("MEMO", "MEMO", "audio portrait", 1),
    ("X-Portrait", "X-Portrait", "reenactment", 1),
    ("Diff2Lip", "Diff2Lip", "lip sync", 2),
    ("AniTalker", "AniTalker", "audio portrait", 2),
    ("EDTalk", "EDTalk", "audio portrait", 2),
    ("DreamTalk", "DreamTalk", "audio portrait", 2),
    ("StyleTalk", "StyleTalk", "audio portrait", 2),
    ("StyleGAN3", "StyleGAN3 editing", "editing", 2),
    ("E4S", "E4S", "swap", 2),
    ("FaceAdapter", "FaceAdapter", "swap", 2),
    ("FaceShifter", "FaceShifter", "swap", 2),
    ("HifiFace", "HifiFace", "swap", 2),
    ("HiFiVFS", "HiFiVFS", "swap", 2),
    ("HiRes", "HiRes", "swap", 2),
    ("InfoSwap", "InfoSwap", "swap", 2),
    ("SimSwap", "SimSwap", "swap", 2),
    ("SadTalker", "SadTalker", "audio portrait", 3),
    ("Linly-Talker", "SadTalker", "audio portrait", 3),
    ("ReSyncer", "ReSyncer", "lip sync", 3),
    ("StyleSync", "StyleSync", "lip sync", 3),
    ("Obama-Lip-Sync", "Obama-Lip-Sync", "lip sync", 1),
    ("Loopy", "Loopy", "audio portrait", 3),
    ("OmniHuman", "OmniHuman", "audio portrait", 3),
    ("FantasyTalking", "FantasyTalking", "audio portrait", 3),
    ("Sonic", "Sonic", "audio portrait", 3),
    ("StyleHEAT", "StyleHEAT", "audio portrait", 3),
    ("MakeItTalk", "MakeItTalk", "audio portrait", 3),
    ("EMOPortraits", "EMOPortraits", "reenactment", 3),
    ("Real3D", "Real3D-Portrait", "3D-aware", 3),
    ("PortraitGen", "PortraitGen", "3D-aware", 3),
    ("STIT", "STIT", "editing", 3),
    ("MoCha", "MoCha", "text-to-video", 3),
    ("StyleGAN2", "StyleGAN2", "still", -1),
)
#: Kinds of which a part of a real frame is left; of the others the whole face is drawn.
BLENDED = frozenset({"swap", "lip sync"})
KINDS = (
    "swap",
    "lip sync",
    "reenactment",
    "audio portrait",
    "editing",
    "3D-aware",
    "text-to-video",
)


def tool_of(method: str) -> tuple[str, str, int]:
    """Tool, kind and fold of a forged file's method. Raises KeyError for one that is not listed."""
    for start, tool, kind, fold in TOOLS:
        if method.startswith(start):
            return tool, kind, fold
    raise KeyError(method)


def kind_of(method: str) -> str:
    """The kind of a method's tool; "still" for whole pictures and for methods that are not listed."""
    return next((kind for start, _, kind, _ in TOOLS if method.startswith(start)), "still")


def fold_of_groups(clips: Sequence[Any]) -> dict[str, int]:
    """Group of people -> the fold that its real clips are judged in.

    That of most of the group's forgeries; groups without any are dealt out by a hash, to those folds that
    have fewer reals. `clips` have `group`, `label`, `fold` (forgeries: of the tool).
    """
    forged: dict[str, Counter[int]] = defaultdict(Counter)
    reals: Counter[str] = Counter()
    for clip in clips:
        if clip["label"]:
            forged[clip["group"]][clip["fold"]] += 1
        else:
            reals[clip["group"]] += 1
    found = {group: min(c, key=lambda f: (-c[f], f)) for group, c in forged.items()}
    load = Counter(dict.fromkeys(range(FOLDS), 0))
    for group, fold in found.items():
        load[fold] += reals[group]
    free = [g for g in reals if g not in found]
    for group in sorted(free, key=lambda g: hashlib.sha256(g.encode()).digest()):
        fold = min(load, key=lambda f: (load[f], f))
        found[group] = fold
        load[fold] += reals[group]
    return found
