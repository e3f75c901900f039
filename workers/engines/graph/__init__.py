"""A network's graph: its hash, its fp32 parts, its stages, its export."""
