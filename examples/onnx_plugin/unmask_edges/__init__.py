"""Edge energy on ONNX Runtime: an example of a plugin whose network is no torch module."""
