"""Pure learning code: numpy, scipy, torch; no input or output, no clock, no environment."""
