"""Data sets: LightningDataModules that feed batches of sequences."""
