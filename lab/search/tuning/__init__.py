"""What `lab tune` does: schedulers in turn on one scenario, and what their searches say."""
