"""A hub of one's own, for tests and to rehearse with: `python -m morphzoo.testing.hub`."""
