"""The documentation site: docs/ and the README as they are, and pages made from the code itself."""
