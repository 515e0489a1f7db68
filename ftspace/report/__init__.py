"""What a run came to, for people to read: the comparison in words, tables and pictures, and as one HTML file."""
