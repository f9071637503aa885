"""From a manifest entry to an adapter that answers: fetch, preflight, load, probe, drain."""
