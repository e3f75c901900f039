"""What one machine can reach when every stage needs the same cores."""


def shared(*ceilings: float) -> float:
    """Faces per second where stages that would each reach `ceilings` alone share the same cores.

    >>> shared(100.0, 100.0)
    50.0
    """
    return 1.0 / sum(1.0 / ceiling for ceiling in ceilings)
