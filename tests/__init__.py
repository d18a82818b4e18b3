"""The tests come in by the doors that people and programs use."""
