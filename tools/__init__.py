"""Tools for development: the local stack, signing for the emulator, the demo. None of this is deployed."""
