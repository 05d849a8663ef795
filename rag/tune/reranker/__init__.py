"""A light cross-encoder from the embedder's first layers: taught by lists of one answer and what the embedder finds instead."""
