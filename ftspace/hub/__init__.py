"""What is asked of the Hugging Face Hub."""
