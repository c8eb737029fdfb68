"""The main job on real input, over real HTTP: this repository's files, history and dependencies."""
