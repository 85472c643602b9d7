"""`promptgrad help`: commands, pages of the documents, words of the glossary."""
