"""Lists that come in pages: the search for jobs, and the cursors of all of them."""
