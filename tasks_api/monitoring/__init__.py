"""What an operator sees: health, the access log, metrics, log lines."""
