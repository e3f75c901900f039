"""Moderators at work: queues, claims, decisions by keyboard, care, finding jobs."""
