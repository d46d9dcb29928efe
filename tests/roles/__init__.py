"""What the functions' roles allow is what the code calls: recorded in the tests, and compared both ways."""
