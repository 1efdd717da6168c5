"""The least squares problem of one network: residuals, their Jacobian, and the methods that minimise them."""
