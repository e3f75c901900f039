"""Media by reference: from an address to a file on this machine, with hostile servers in mind."""
