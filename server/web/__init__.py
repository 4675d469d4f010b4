"""The dispatcher's web view: pages and live fragments over the same engine as every device."""
