"""Receives the progress and reports of job pods: whoever posts must hold a token of a pod of that very job."""
