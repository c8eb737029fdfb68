"""What needs both planes, the control plane's rows and the tenants' backends: one module each."""
