"""The paper's claims: where their rules look, the rules, their verdicts, and how pages show them."""
