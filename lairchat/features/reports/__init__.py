"""What members of encrypted rooms show to the operators: one message with proof, or a refused change."""
