"""Judge what lies on this machine or an archive: files, folders, addresses, standard input."""
