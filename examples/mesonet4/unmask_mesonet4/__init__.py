"""MesoNet-4 for Unmask. Left empty of imports: the catalogue reads manifest.toml beside it."""
