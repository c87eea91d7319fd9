"""The stores that come with the kernel."""
