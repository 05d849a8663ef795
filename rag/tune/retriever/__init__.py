"""The embedder taught Chinese and shop questions: more vocabulary, distilled from its own English vectors, then contrasted."""
