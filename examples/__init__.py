"""The documents' nets: one program per document, each a lesson to read from top to bottom."""
