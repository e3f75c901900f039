"""Which libraries an engine needs, the one that names its version first."""

#: Runtime -> distributions; their versions stand in pyproject.toml alone.
LIBRARIES = {
    "torch": ("torch",),
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime", "onnx", "onnxscript"),
    "inductor": ("torch",),
    "tensorrt": ("torch-tensorrt",),
}
NEEDS_A_GPU = ("inductor", "tensorrt")
