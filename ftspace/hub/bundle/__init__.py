"""What a push carries: the files and what they say."""
