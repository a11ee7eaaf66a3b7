"""What the services need of the outside world. Adapters implement these; fakes do so in tests."""
