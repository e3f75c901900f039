"""What people order of a job: stop it, run it again, decide on its verdict."""
