"""Tasks: LightningModules around the recurrent layers."""
