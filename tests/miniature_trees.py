"""Miniature copies of the official data set trees: same names, tiny real H.264 videos and masks.

One face (the public-domain astronaut of scikit-image), tinted per identity; a forgery brightens and
shifts an ellipse of it. Videos are SIDE px wide and a few frames long, so that a whole tree takes a
second to write.
"""

import csv
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from skimage.data import astronaut

SIDE = 160
FRAMES = 7


def face_frames(identity: int, frames: int = FRAMES, side: int = SIDE) -> list[np.ndarray]:
    """(side, side, 3) uint8 RGB frames of one tinted face that drifts by a pixel a frame."""
    portrait = astronaut()
    tint = 1.0 + 0.08 * np.array([identity % 3 - 1, (identity // 3) % 3 - 1, 0])
    pictures = []
    for step in range(frames):
        left = 126 + step + 3 * (identity % 4)
        cut = portrait[10 : 10 + 200, left : left + 200]
        cut = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)
        pictures.append(np.clip(cut * tint, 0, 255).astype(np.uint8))
    return pictures


def face_mask(side: int = SIDE) -> np.ndarray:
    """(side, side) uint8, 255 inside the ellipse that forgeries change."""
    mask = np.zeros((side, side), np.uint8)
    centre = (round(0.46 * side), round(0.5 * side))
    cv2.ellipse(mask, centre, (round(0.16 * side), round(0.22 * side)), 0, 0, 360, 255, -1)
    return mask


def forged_frames(identity: int, frames: int = FRAMES, side: int = SIDE) -> list[np.ndarray]:
    """The same face with an ellipse brightened by a quarter of the range."""
    inside = (face_mask(side) > 0)[..., None]
    return [
        np.where(inside, np.clip(f.astype(int) + 64, 0, 255), f).astype(np.uint8)
        for f in face_frames(identity, frames, side)
    ]


def write_video(path: Path, frames: Sequence[np.ndarray], crf: int = 12) -> Path:
    """H.264 in the container of the suffix, 25 frames per second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "ultrafast"}
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def write_image(path: Path, rgb: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    assert ok
    path.write_bytes(data.tobytes())
    return path


def mask_video(path: Path, frames: int = FRAMES, side: int = SIDE) -> Path:
    return write_video(path, [np.repeat(face_mask(side)[..., None], 3, axis=2)] * frames)


def ffpp(
    root: Path,
    *,
    methods: Sequence[str] = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"),
    level: str = "c23",
    pairs: int = 1,
) -> Path:
    """FaceForensics++ with `pairs` pairs a split; fakes are one frame shorter than originals."""
    for number, split in enumerate(("train", "val", "test")):
        listed = []
        for pair in range(pairs):
            a, b = (f"{100 * number + 2 * pair + i:03d}" for i in (0, 1))
            listed.append([a, b])
            for name in (a, b):
                write_video(
                    root / f"original_sequences/youtube/{level}/videos/{name}.mp4",
                    face_frames(int(name)),
                )
            for method in methods:
                folder = root / "manipulated_sequences" / method
                for target, source in ((a, b), (b, a)):
                    name = f"{target}_{source}.mp4"
                    write_video(
                        folder / level / "videos" / name, forged_frames(int(target), FRAMES - 1)
                    )
                    if method != "FaceShifter":
                        mask_video(folder / "masks" / "videos" / name)
        (root / f"{split}.json").write_text(json.dumps(listed))
    return root


def dfd(root: Path, level: str = "c23") -> Path:
    for actor in ("01", "02"):
        write_video(
            root / f"original_sequences/actors/{level}/videos/{actor}__walking.mp4",
            face_frames(int(actor)),
        )
    fakes = root / "manipulated_sequences/DeepFakeDetection"
    write_video(fakes / level / "videos/01_02__walking__ABCDEFGH.mp4", forged_frames(1))
    mask_video(fakes / "masks/videos/01_02__walking__ABCDEFGH.mp4")
    return root


def celebdf(root: Path) -> Path:
    """Two test videos listed with the official, inverted labels; the folder in other case."""
    for person in (0, 1):
        write_video(root / f"Celeb-real/id{person}_0000.mp4", face_frames(person))
        write_video(
            root / f"Celeb-synthesis/id{person}_id{1 - person}_0000.mp4", forged_frames(person)
        )
    write_video(root / "YouTube-real/00000.mp4", face_frames(5))
    (root / "List_of_testing_videos.txt").write_text(
        "1 Celeb-real/id1_0000.mp4\n1 Youtube-real/00000.mp4\n0 Celeb-synthesis/id1_id0_0000.mp4\n"
    )
    return root


def dfdc(root: Path) -> Path:
    for part in (0, 9):
        folder = root / f"dfdc_train_part_{part}"
        write_video(folder / "real.mp4", face_frames(part))
        write_video(folder / "fake.mp4", forged_frames(part))
        metadata = {
            "real.mp4": {"label": "REAL", "split": "train"},
            "fake.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"},
        }
        (folder / "metadata.json").write_text(json.dumps(metadata))
    write_video(root / "test/videos/aaa.mp4", face_frames(3))
    write_video(root / "test/videos/bbb.mp4", forged_frames(4))
    (root / "test/labels.csv").write_text("filename,label\naaa.mp4,0\nbbb.mp4,1\n")
    return root


def dfdcp(root: Path) -> Path:
    dataset = {}
    for part, person in (("train", 0), ("test", 1)):
        real = f"original_videos/{person}/{part}.mp4"
        fake = f"method_A/{person}_{1 - person}/{part}.mp4"
        write_video(root / real, face_frames(person))
        write_video(root / fake, forged_frames(person))
        dataset[real] = {"label": "real", "set": part, "target_id": person, "swapped_id": None}
        dataset[fake] = {
            "label": "fake",
            "set": part,
            "target_id": person,
            "swapped_id": 1 - person,
        }
    (root / "dataset.json").write_text(json.dumps(dataset))
    return root


def wilddeepfake(root: Path) -> Path:
    """Archives of 96 px face sequences; one folder name with a space, one with an underscore."""
    for name, word, identity in (
        ("real_train", "real", 0),
        ("fake train", "fake", 1),
        ("real_test", "real", 2),
        ("fake_test", "fake", 3),
    ):
        path = root / "deepfake_in_the_wild" / name / "7.tar.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        make = forged_frames if word == "fake" else face_frames
        with tarfile.open(path, "w:gz") as archive:
            for sequence in (0, 1):
                for number, frame in enumerate(make(identity + sequence, 3, 96)):
                    ok, data = cv2.imencode(".png", frame[..., ::-1])
                    assert ok
                    info = tarfile.TarInfo(f"7/{word}/{sequence}/{number}.png")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data.tobytes()))
    return root


def deepfakebench(root: Path) -> Path:
    """FaceForensics++ as DeepfakeBench leaves it: frames, masks, Windows paths of another machine."""
    tree: dict = {"FaceForensics++": {}}
    for label, folder, make in (
        ("FF-real", "original_sequences/youtube", face_frames),
        ("FF-DF", "manipulated_sequences/Deepfakes", forged_frames),
        ("FF-F2F", "manipulated_sequences/Face2Face", forged_frames),
    ):
        tree["FaceForensics++"][label] = {}
        for number, split in enumerate(("train", "val", "test")):
            a, b = f"{2 * number:03d}", f"{2 * number + 1:03d}"
            video = a if label == "FF-real" else f"{a}_{b}"
            listed = []
            for frame, picture in enumerate(make(number, 4, 96)):
                inside = f"FaceForensics++/{folder}/c23/frames/{video}/{frame:03d}.png"
                write_image(root / inside, picture)
                if label != "FF-real":
                    write_image(root / inside.replace("frames", "masks"), face_mask(96))
                listed.append("D:\\datasets\\rgb\\" + inside.replace("/", "\\"))
            entry = {"label": label, "frames": listed}
            tree["FaceForensics++"][label][split] = {"c23": {video: entry}}
    (root / "FaceForensics++.json").write_text(json.dumps(tree))
    return root


def folder(root: Path) -> Path:
    """train/ and test/ with real/ and fake/; videos, and images of one method."""
    for number, split in enumerate(("train", "test")):
        write_video(root / split / "real/one.mp4", face_frames(number))
        write_image(root / split / "real/two.png", face_frames(number + 2)[0])
        write_video(root / split / "fake/one.mp4", forged_frames(number))
        write_image(root / split / "fake/painted/three.png", forged_frames(number + 2)[0])
    return root


def manifest(root: Path) -> Path:
    rows = []
    for person in range(2):
        split = ("train", "test")[person]
        real = write_video(root / f"real/{person}.mp4", face_frames(person))
        fake = write_video(root / f"fake/{person}.mp4", forged_frames(person))
        rows += [
            {"path": "real/" + real.name, "label": "real", "identity": f"p{person}", "split": split},
            {"path": "fake/" + fake.name, "label": "fake", "identity": f"p{person}->x{person}",
             "method": "Swap", "pair_of": "real/" + real.name, "split": split},
        ]  # fmt: skip
    with (root / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "method", "identity", "pair_of", "split"])
        writer.writeheader()
        writer.writerows(rows)
    return root


def decisions(root: Path) -> Path:
    lines = []
    for number, split in enumerate(("train", "test")):
        for label, make in (("real", face_frames), ("fake", forged_frames)):
            path = write_video(root / f"{split}-{label}.mp4", make(number))
            lines.append({"path": path.name, "label": label, "consent": True, "split": split,
                          "sha256": f"{len(lines):064x}"})  # fmt: skip
    lines.append({**lines[0], "path": lines[0]["path"]})
    lines.append({"path": "train-real.mp4", "label": "fake", "consent": False})
    (root / "decisions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


#: Reader key -> builder of its tree.
TREES = {
    "ffpp": lambda root: ffpp(root, methods=("Deepfakes", "NeuralTextures")),
    "faceshifter": lambda root: ffpp(root, methods=("FaceShifter",)),
    "dfd": dfd,
    "celebdf": celebdf,
    "dfdc": dfdc,
    "dfdcp": dfdcp,
    "wilddeepfake": wilddeepfake,
    "deepfakebench": deepfakebench,
    "folder": folder,
    "manifest": manifest,
    "decisions": decisions,
}
