"""What every HTTP function shares: the entry, the key, request parsing, and answers."""
