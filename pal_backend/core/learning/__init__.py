"""Training a backbone on the similarity graph."""
