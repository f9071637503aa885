"""POST /v1/embeddings: protocol, service, routes."""
