"""Attribution contracts: what a platform's campaign parameters must look like, and what is said of those that do not."""
