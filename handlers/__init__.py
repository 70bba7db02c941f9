"""Lambda code, zipped under this name: the same imports in Lambda, in tests and on the laptop."""
