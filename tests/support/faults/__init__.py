"""Tools that break runs: kill them, cut the power, refuse their system calls; and an oracle."""
