"""Facts as rows, lines and sentences, each once; terminal, screen, HTML, Markdown and JSON render them."""
