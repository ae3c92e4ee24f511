"""Live page: a web page in which the network runs, so that every layer follows changes of the image."""
