"""Attribution models: how the value of a conversion is shared among the touches that led to it."""
