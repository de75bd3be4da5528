"""Self-supervised losses on a similarity graph, one file each."""
