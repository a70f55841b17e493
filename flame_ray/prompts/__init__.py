"""Where instructions come from: the built-in sets, a user's files, the round's draw, and which of them need facts."""
