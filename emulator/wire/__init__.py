"""From a socket to the handler of a call, and back."""
