"""The programs that write the notebooks, pages, slides and homework from their sources."""
