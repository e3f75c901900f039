"""From a stream's address to packets: what it says, whether it may be opened, how it comes apart."""
