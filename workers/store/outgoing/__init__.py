"""What goes out: the outbox of events, and the webhooks that are told of them."""
