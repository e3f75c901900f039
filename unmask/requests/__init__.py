"""What callers ask for: details of a job, a stream, and whether they may."""
