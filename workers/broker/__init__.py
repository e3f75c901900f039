"""The Redis in force, and a private one for one machine."""
