"""What the server tells of by itself: events as a stream, and webhooks."""
