"""What a person reads: wording, report, timeline, listing."""
