"""What an operator does by the API: cancel, run again, erase, and see to crops that were given up."""
