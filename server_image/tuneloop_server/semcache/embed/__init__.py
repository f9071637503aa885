"""Text to vectors: one protocol, three ways."""
