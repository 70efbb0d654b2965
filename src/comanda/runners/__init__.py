"""How the enqueue runs on a connection that is not comanda's, one module a driver."""
