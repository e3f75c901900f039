"""What waits for moderators: queues, who holds what, first opinions, decisions that can be undone."""
