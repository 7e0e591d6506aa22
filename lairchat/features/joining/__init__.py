"""How people come into encrypted rooms: invitations that they accept, and codes under which they knock."""
