"""How fast comanda is, measured against loops that do the least a durable queue can do."""
