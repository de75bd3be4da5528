"""Tests of pal_backend.demo."""
