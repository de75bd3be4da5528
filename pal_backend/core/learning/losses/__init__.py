"""Self-supervised losses on a signed similarity graph G, one file each.

Every loss is a pure function ``(Z, i, j, weight, *, hyper-parameters)`` of embeddings and the list of G's entries, and
answers with a named tuple: ``loss``, the scalar to go down on, and then its parts, each before its weight, for people to
watch. (:func:`~.simclr.simclr` is the ``loss`` of :func:`~.simclr.simclr_terms` alone.)

G is symmetric: (i, j) and (j, i) are both listed. An entry listed twice counts with the sum, the diagonal is ignored,
positive weights say "same", negative ones "different". Without any positive entry the attraction is 0.

``uniform`` marks the rows that were drawn uniformly from the pool, as a bool tensor (R,) or as row numbers; None is all of
them. Variance, covariance and the repulsion of the spectral losses are statistics of the pool and are taken over these rows
alone: batches that follow the graph would bias them towards large groups. SimCLR's negatives are all rows.

Losses want float32 or float64, so call them outside autocast. Their gradients can be differentiated once.
"""
