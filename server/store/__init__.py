"""Where rows and the log live: one protocol, one implementation per database."""
