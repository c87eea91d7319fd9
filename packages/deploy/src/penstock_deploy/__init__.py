"""Locks what a pipeline needs, writes images with only that, and installs plugins."""
