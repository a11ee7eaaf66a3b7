"""What alerts say to people, in templates."""
