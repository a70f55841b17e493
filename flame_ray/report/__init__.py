"""What people and programs read of a run: tables, summaries, progress on the screen, and the page of runs (`page/`)."""
