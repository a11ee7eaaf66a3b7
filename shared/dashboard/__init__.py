"""The admin dashboard: pages made on the server, for people with a browser."""
