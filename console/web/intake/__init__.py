"""How videos come in: uploads, paths, addresses, many at once."""
