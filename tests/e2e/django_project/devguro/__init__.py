"""A small Django project whose web process brings its own worker. The tests copy it and run it."""
