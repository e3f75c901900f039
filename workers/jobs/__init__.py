"""A job's life: submitted, selected, settled, swept, decided."""
