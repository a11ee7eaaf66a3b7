"""Tools for development: the local stack, signing for the emulator. None of this is deployed."""
