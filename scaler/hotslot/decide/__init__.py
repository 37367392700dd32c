"""Decide: pure policies and limits; samples in, a wish with its reason out."""
