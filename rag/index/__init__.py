"""Chroma, the lexical index, the vector cache, and the seal that makes a generation live."""
