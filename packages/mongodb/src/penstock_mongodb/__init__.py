"""What Penstock's MongoDB input and output share."""
