"""Environments with goals: a point that the robot must bring itself to, drawn anew each time."""
