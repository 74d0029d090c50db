"""What happens if I move this? One file per chapter; no mathematics here."""
