import unmask  # noqa: F401 - first, so that no inference library reports home
