"""Comparing, measuring and waking networks. torch is imported only when a function needs it."""

import importlib
from typing import Any

import numpy as np

from unmask.plugin import Detector, RawOutput
from unmask.testing.sample_crops import sample_crops

#: The parity gate of the engines: |dp|, and correlation of each map with the reference's.
MAX_DIFFERENCE = 1e-3
MIN_CORRELATION = 0.999


def assert_parity(got: RawOutput, reference: RawOutput) -> None:
    """Fails unless `got` is within the engines' gate of `reference`.

    A reference map that spans less than the gate is constant to the eye, and correlation would
    compare rounding noise: it must then agree value by value.
    """
    assert got.p.shape == reference.p.shape
    assert got.maps.shape == reference.maps.shape
    assert float(np.abs(got.p - reference.p).max()) <= MAX_DIFFERENCE
    for one, other in zip(got.maps, reference.maps, strict=True):
        if float(np.ptp(other)) < MAX_DIFFERENCE:
            assert float(np.abs(one - other).max()) <= MAX_DIFFERENCE
        else:
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] >= MIN_CORRELATION
    if reference.ood is not None:
        assert got.ood is not None
        np.testing.assert_allclose(got.ood, reference.ood, rtol=1e-2, atol=1e-2)


def enliven(detector: Detector) -> Detector:
    """Give an untrained torch plugin outputs that depend on what it sees; returns the detector.

    Fresh networks hide faults: gains that start at 0 switch branches off, and batch norm without
    statistics lets signals fade. All-zero gains become 0.5, and batch norm sees one batch.
    """
    torch: Any = importlib.import_module("torch")
    module = detector.serving()
    if module is None:
        return detector
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, parameter in module.named_parameters():
            if not name.endswith("bias") and not bool(parameter.any()):
                parameter.fill_(0.5)
        norms = [
            m for m in module.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)
        ]
        if norms:
            momenta = [norm.momentum for norm in norms]
            for norm in norms:
                norm.momentum = 1.0
            module.train()
            module(torch.from_numpy(detector.prepare(sample_crops(4, seed=7)).images))
            module.eval()
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
    return detector


def measured_size(serving: Any, input_px: int) -> tuple[int, float]:
    """Parameters of a serving module, and 1e9 multiply-accumulates of one image."""
    torch: Any = importlib.import_module("torch")
    counter: Any = importlib.import_module("torch.utils.flop_counter")
    attention: Any = importlib.import_module("torch.nn.attention")
    parameters = sum(parameter.numel() for parameter in serving.parameters())
    # The counter does not know the CPU's fused attention; its plain form has the same products.
    plain = attention.sdpa_kernel(attention.SDPBackend.MATH)
    with torch.no_grad(), plain, counter.FlopCounterMode(display=False) as flops:
        serving(torch.zeros(1, 3, input_px, input_px))
    return parameters, flops.get_total_flops() / 2e9
