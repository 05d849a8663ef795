"""Shoptalk: a customer-service chatbot that answers from a shop's own documents."""

__version__ = "0.1.0"
