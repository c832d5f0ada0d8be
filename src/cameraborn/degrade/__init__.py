"""What happens to a picture: operations, named and random, and statistics of what they leave."""
