"""How processes live: roles, the local pipeline, the supervisor."""
