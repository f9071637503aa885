"""What was asked and answered, to Redis, in the background; never in the way of a request."""
