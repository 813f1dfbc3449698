"""What can be computed: whether two sides agree, what a program costs, how long it takes."""
