"""Live streams: one process owns the socket and never decodes, one decodes and owns no socket."""
