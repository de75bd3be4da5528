"""The RQ workers."""
