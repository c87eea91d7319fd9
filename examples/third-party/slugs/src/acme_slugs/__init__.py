"""Give the records of Penstock pipelines names for URLs."""
