"""What several screens are made of: tables, toned text, dialogs, the key bar."""
