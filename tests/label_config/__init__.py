"""Tests of the labelling configs."""
