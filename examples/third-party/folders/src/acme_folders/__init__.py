"""Streams of Penstock pipelines as files in a folder."""
