"""What a run leaves for people and programs: table rows, summaries, the closing table. Pure, but for printing."""
