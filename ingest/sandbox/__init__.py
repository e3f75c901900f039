"""The decoder in a process that can do nothing but decode."""
