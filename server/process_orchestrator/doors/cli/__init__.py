"""The command line: every MCP tool has a twin here."""
