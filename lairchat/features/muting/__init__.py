"""People whose invitations somebody does not want to hear of."""
