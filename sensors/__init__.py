"""Everything that waits: task sensors and watchers."""
