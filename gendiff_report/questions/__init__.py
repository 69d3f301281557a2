"""The paper's four research questions: what is measured for them, the rules, and how pages show the answers."""
