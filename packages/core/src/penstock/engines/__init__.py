"""The engines that come with the kernel."""
