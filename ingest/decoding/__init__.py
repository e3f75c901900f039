"""From an open file to upright frames at chosen times."""
