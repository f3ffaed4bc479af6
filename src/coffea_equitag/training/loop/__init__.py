"""The loop: Lightning module, callbacks, and the folder that a run writes."""
