"""Training of the generator: answers from passages, and none where they do not hold it."""
