"""The processes that jobs run in, one for each job; RQ calls them horses."""
