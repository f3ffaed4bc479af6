"""Attention networks beside LorentzNet and PELICAN of like cost."""
