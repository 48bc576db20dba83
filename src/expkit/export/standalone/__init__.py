"""The script that an exported folder brings with it; it imports nothing of expkit."""
