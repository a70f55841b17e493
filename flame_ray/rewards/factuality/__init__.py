"""The factuality reward: splits a response into facts, finds evidence for them, and checks each one."""
