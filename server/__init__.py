"""Where data lives and who may ask: engine, stores, routes, web view, jobs, command line."""
