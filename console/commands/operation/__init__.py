"""`unmask jobs` and `unmask dead`: the operator's hand."""
