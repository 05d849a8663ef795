"""Chroma, the lexical index, the catalogue, and the seal that makes a generation live."""
