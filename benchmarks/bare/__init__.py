"""The bare loops: comanda's bar. They import nothing of comanda, so that they can be read and judged on their own."""
