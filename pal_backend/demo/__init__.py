"""`pal demo`: Redis, Label Studio, web and worker on one machine, and a simulated annotator for them."""
