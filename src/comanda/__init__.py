"""comanda: a task queue for Python web applications."""
