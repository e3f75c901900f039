"""What the API says of itself: its description, its examples, its page for people."""
