"""A stream as it runs: windows over tracks that live on, and a rolling verdict."""
