"""What the decks are made of: the text of a slide, the slides of a chapter, pages and handouts."""
