"""General helpers: errors, files, messages, progress, random streams."""
