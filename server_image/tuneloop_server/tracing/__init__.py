"""Spans of answers, for those who set an OTLP endpoint."""
