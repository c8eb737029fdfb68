"""Records of what happened: taken in, judged by gates, kept once, replayed."""
