"""From frame scores to a probability, by numbers alone. Pure; trainers use it too."""
