"""From a dataset's id or file to rows of `messages`, split for training and testing."""
