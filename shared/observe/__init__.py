"""What an operator sees of the functions: log lines in JSON, and metrics. The CLI uses neither."""
