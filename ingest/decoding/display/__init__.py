"""From a coded picture to the one a player shows: fields, colours, turns."""
