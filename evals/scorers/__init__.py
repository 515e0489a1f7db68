"""What an answer is worth, one scorer a file: functions of texts that know nothing of models or of who runs them."""
