"""Renditions: what a browser is shown in the place of a video that it cannot play."""
