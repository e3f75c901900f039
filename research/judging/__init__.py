"""What weights are worth: scores of judged clips, and the tables made of them."""
