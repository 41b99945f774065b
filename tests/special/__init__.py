"""Every differentiable function, activation and loss at special values, against arithmetic of thousands of bits."""
