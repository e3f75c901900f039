"""Small drawn tasks on which each paper's idea has to pay, or not: orderings, in minutes."""
