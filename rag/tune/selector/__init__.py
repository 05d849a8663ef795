"""Teaching the embedder to read a question and a sentence together, so that it tells the one that answers from its neighbours."""
