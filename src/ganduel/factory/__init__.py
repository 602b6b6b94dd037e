"""Parts from their configs."""
