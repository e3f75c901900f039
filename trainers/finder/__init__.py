"""The embedded finder of faces: taught by larger ones on pictures whose faces they agree about."""
