"""What a moderator watches: the media, its rendition, and where the faces are in it."""
