"""Question and history to a standalone query, and a query to passages."""
