"""Where weights are found, and what runs them."""
