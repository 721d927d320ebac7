"""What `import fnet_core as fn` offers, a module per kind of question."""
