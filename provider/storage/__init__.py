"""Bytes on their way to and from the containers of datastores."""
