"""What you type: one module per command of `unmask`."""
