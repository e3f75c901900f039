"""From scores to a verdict, and the pictures that show why."""
