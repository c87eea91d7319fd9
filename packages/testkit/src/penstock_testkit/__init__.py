"""What the tests of Penstock plugins share."""
