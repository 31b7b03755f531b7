"""What every noun stands on: store, clock, directory, storage, events, faults."""
