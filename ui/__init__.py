"""The chat page and the HTTP service: they translate events and decide nothing."""
