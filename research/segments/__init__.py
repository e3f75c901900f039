"""How segments were judged and their corrections fitted, on clips spliced into long videos."""
