"""What exists once under a name: computes, endpoints, deployments, schedules."""
