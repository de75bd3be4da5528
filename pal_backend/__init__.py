"""The web service, command line and learning core of PAL for Label Studio."""
