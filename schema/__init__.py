"""What the data is: records, fields, policies, scopes, roles, wire messages, codes."""
