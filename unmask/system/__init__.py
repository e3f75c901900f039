"""What every process does with the machine it runs on: logs, hashes of files, no reports home."""
