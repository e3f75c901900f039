"""Finders of faces: one module per detector, chosen by `build_face_detector`."""
