"""PFN, Vector PFN and Tensor PFN on b jets, and what each of their parts is worth."""
