"""What a browser or a program calls: the API and the moderators' page together."""
