"""Twins of Gymnasium's MuJoCo bodies, single and batched, with their graphs: a body a file."""
