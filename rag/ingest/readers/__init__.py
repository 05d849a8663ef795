"""One reader per file format: bytes of a file -> a page as Markdown, or a table's rows."""
