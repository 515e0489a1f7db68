"""Where a job runs. Each launcher starts the same worker; training knows nothing of them."""
