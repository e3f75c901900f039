"""Tuned malloc, in the environment of spawned processes."""

from workers.engines.allocator import is_tuned, tuned_environment


def test_children_get_every_setting_and_keep_what_was_set():
    environment = tuned_environment({"PATH": "/bin", "MALLOC_TOP_PAD_": "7"})
    assert is_tuned(environment)
    assert environment["PATH"] == "/bin"
    assert environment["MALLOC_TOP_PAD_"] == "7"
    assert not is_tuned({"PATH": "/bin"})
