"""What moderators look at: which faces, and the pictures of them."""
