"""Who is asking, and how much at a time: API keys, limits, and the gate that asks for both."""
