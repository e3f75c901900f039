"""One module per runtime that can serve a network, behind one small contract."""
