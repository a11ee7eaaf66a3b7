"""Results as files for people and their tools."""
