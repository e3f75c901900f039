"""How the shipped weights were made and judged. Not in the wheel; nothing imports it."""
