"""What users say of an answer."""
