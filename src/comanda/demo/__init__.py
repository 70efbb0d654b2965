"""Dev-Guro, the demo application: developers' free-text logs, and the technologies found in them as tags."""
