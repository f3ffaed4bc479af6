"""All networks on the same top jets."""
