"""What goes when its time is up, or when somebody asks: uploads, evidence, whole jobs."""
