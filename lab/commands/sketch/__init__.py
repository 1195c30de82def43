"""What `lab init` reads of a project, and the scenario that it writes: text, tried on a server before it is kept."""
