"""What all commands share: option groups, progress, interrupts, exit codes, TOML files."""
