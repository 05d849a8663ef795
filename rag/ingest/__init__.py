"""Document file -> Document -> Chunk -> vectors -> a sealed index generation."""
