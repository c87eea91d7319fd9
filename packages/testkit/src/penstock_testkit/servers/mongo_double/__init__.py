"""A double of MongoDB: a process that speaks its wire protocol and keeps documents in a log.

It does what outputs and inputs need, with transactions, write conflicts, retryable writes and
fault points, and outlives being killed. It is not MongoDB: what it shows is what a client makes of
such answers, never how the server behaves.
"""

from __future__ import annotations
