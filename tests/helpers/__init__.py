"""What tests share: programs, simulated actors, processes of the command line."""
