"""How two sources of one picture differ: colour, sharpness, noise, resolution. Pure, on uint8 RGB."""

import cv2
import numpy as np

from unmask.arrays import Floats, Images


def _bytes(image: Floats) -> Images:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def recoloured(image: Images, rng: np.random.Generator) -> Images:
    """Shift RGB, hue, saturation, brightness, contrast and gamma a little."""
    out = image.astype(np.float32)
    if rng.random() < 0.6:
        out += rng.uniform(-14, 14, 3).astype(np.float32)
    if rng.random() < 0.6:
        mean = out.mean()
        out = (out - mean) * rng.uniform(0.85, 1.15) + mean * rng.uniform(0.9, 1.1)
    if rng.random() < 0.4:
        grey = out.mean(axis=2, keepdims=True)
        out = grey + (out - grey) * rng.uniform(0.7, 1.3)
    if rng.random() < 0.3:
        out = 255.0 * np.power(np.clip(out / 255.0, 0, 1), rng.uniform(0.85, 1.18))
    return _bytes(out)


def down_up(image: Images, factor: float, rng: np.random.Generator) -> Images:
    """Lose resolution: shrink by `factor`, enlarge again, each with a random filter."""
    side_x, side_y = image.shape[1], image.shape[0]
    small = (max(8, round(side_x / factor)), max(8, round(side_y / factor)))
    down = int(rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR]))
    up = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]))
    shrunk = cv2.resize(image, small, interpolation=down)
    return np.asarray(cv2.resize(shrunk, (side_x, side_y), interpolation=up), np.uint8)


def sharpened(image: Images, amount: float, sigma: float) -> Images:
    """Unsharp mask."""
    soft = cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32)
    return _bytes(image + amount * (image.astype(np.float32) - soft))


def denoised(image: Images, rng: np.random.Generator) -> Images:
    """Take the camera's noise away, as generators do."""
    if rng.random() < 0.5:
        return np.asarray(
            cv2.bilateralFilter(image, 7, rng.uniform(12, 40), rng.uniform(2, 5)), np.uint8
        )
    return np.asarray(cv2.medianBlur(image, int(rng.choice([3, 5]))), np.uint8)


def noisy(image: Images, sigma: float, rng: np.random.Generator) -> Images:
    """Add noise of standard deviation `sigma` (0..255), correlated over one or two pixels."""
    noise = rng.normal(0.0, 1.0, image.shape).astype(np.float32)
    if rng.random() < 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.5, 1.0))
        noise /= max(float(noise.std()), 1e-6)
    return _bytes(image + sigma * noise)


def mismatched(image: Images, rng: np.random.Generator) -> Images:
    """One random way in which a pasted source differs from its surroundings, on top of colour."""
    out = recoloured(image, rng)
    kind = rng.choice(
        ["soft", "low", "sharp", "clean", "noise", "same"], p=[0.2, 0.3, 0.15, 0.15, 0.1, 0.1]
    )
    if kind == "soft":
        return np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.6, 2.0)), np.uint8)
    if kind == "low":
        return down_up(out, rng.uniform(1.3, 3.5), rng)
    if kind == "sharp":
        return sharpened(out, rng.uniform(0.4, 1.5), rng.uniform(0.8, 2.0))
    if kind == "clean":
        return denoised(out, rng)
    if kind == "noise":
        return noisy(out, rng.uniform(2.0, 7.0), rng)
    return out


def colour_matched(source: Images, target: Images, where: Floats, strength: float) -> Images:
    """Move the source's mean and spread inside `where` > 0.5 towards the target's by `strength`."""
    inside = where > 0.5
    if not inside.any():
        return source
    out = source.astype(np.float32)
    s, t = out[inside], target[inside].astype(np.float32)
    gain = t.std(axis=0) / np.maximum(s.std(axis=0), 1.0)
    matched = (out - s.mean(axis=0)) * np.clip(gain, 0.5, 2.0) + t.mean(axis=0)
    return _bytes(out + strength * (matched - out))
