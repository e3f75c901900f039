"""From crops to scores: read, batch, infer, write."""
