"""The moderators' page: server-rendered, no build step, no script but a refresh."""
