"""Conversations, votes and hand-overs in one database; the only writer."""
