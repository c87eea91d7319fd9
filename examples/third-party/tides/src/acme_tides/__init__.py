"""Read the heights of the tide with Penstock."""
