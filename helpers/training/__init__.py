"""Training networks: recipes, data without end, one plain loop, validation, and the card that says what came of it."""
