"""Passages -> prompt -> tokens -> checked, cited Answer; the FAQ fast path, quotes, refusals and hand-over."""
