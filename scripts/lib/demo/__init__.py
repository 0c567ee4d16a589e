"""The demo: the draft's Figure 2, step by step, with real programs."""
